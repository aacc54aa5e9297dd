"""From settings to units of systemd: what is enabled, with which limits; and putting it onto a device."""
