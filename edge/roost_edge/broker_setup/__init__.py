"""`roost broker setup`: from a device's settings to its own Mosquitto with passwords, access rules and TLS."""
