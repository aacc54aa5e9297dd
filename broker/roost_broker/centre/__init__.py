"""The centre's side of the fabric: a NATS server, its streams and consumers as data, what the fleet says of itself."""
