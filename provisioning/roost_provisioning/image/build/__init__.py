"""`roost image build`: from Debian packages to a file that is written to a card, in stages that are kept where slow."""
