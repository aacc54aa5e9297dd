"""Whether something moves, and why not."""
