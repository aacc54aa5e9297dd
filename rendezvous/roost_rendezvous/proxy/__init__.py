"""HTTP in front of every task of a device: a question in a POST, the official result in its answer."""
