"""Simulated devices: they read a real registry, decide as real ones do, and report over real sessions or at once."""
