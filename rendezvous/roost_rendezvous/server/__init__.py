"""The core on a bus: reading, journalling and publishing, with a clock."""
