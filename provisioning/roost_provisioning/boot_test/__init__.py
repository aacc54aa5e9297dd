"""Starts a built image in an emulator and goes through a device's first day with it: `scripts/boot-test`."""
