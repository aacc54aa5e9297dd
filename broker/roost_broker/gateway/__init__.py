"""The gateway: from the device's broker to the centre's streams, durably, and back what is allowed."""
