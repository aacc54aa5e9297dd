"""The device's side of identity: a seed on the card, enrolment, renewal, the files that say who this device is."""
