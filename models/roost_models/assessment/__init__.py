"""Assessment of a candidate by replay, before it is offered to any device; a gate decides."""
