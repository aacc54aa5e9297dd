"""The device: cameras, motion, capture, alerts, settings, the supervisor and the command line."""
