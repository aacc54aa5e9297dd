"""A card image from Debian packages: `roost image build`."""
