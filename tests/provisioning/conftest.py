"""What needs a whole operating system: images, guests, systemd, playbooks. `scripts/test --provisioning`."""
