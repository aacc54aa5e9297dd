"""The OTA agent: brings bundles from the registry to a device, tries them, lets the schedule decide (promise F8)."""
