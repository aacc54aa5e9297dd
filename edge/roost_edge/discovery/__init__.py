"""Home Assistant finds the device by itself: one document that says what there is and on which topics."""
