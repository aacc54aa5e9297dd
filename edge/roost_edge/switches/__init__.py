"""Switches of a camera: ordered by MQTT, obeyed by the role that has them, kept over restarts."""
