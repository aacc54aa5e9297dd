"""What an image does by itself on the device, before Roost starts: uses the card's whole room, seals the root.

Runs before most of the system is up: only the standard library and `roost_broker`'s small modules are imported.
"""
