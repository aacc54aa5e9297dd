"""The device's own web page: what it sees, what its models make of it, and how it is (promise P10)."""
