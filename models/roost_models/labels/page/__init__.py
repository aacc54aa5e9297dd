"""The page on which people label pictures: a small server of its own, for one machine or behind TLS and tokens."""
