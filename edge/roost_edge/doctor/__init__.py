"""The doctor: examines a device, and says of each thing that is not well what to do about it (promise P11)."""
