"""`scripts/demo-loop`: a mistake seen in a picture becomes a label, a better model, and a roll-out; on one machine."""
