"""Comparing models on an archive: its cases as rows, and its frames as small pictures."""
