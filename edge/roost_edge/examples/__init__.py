"""Example settings, for `roost config example`."""
