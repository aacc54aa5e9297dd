"""Pictures that show people do not leave the device: see `guarded_frames`."""
