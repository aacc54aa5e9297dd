"""A camera's frames become requests: what to ask, the durable log of it, and asking again."""
