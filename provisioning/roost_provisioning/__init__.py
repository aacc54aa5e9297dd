"""From a blank SD card to a fleet: images, identities, playbooks."""
