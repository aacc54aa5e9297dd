"""Handing over from a running process to its successor, without a gap (Dunning & Friedman, ch. 6, "Upgrading …").

slots       the two names under which a role can run
words       how a role says where it stands in a hand-over
files       what the old one writes for the new one, and where
conductor   what is done when: pure
conducting  the conductor on a bus
"""
