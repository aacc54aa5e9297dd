"""A social network of one's own, on this machine: the service's endpoints, to practise and to test with."""
