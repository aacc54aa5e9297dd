"""The demo: a private broker, every role as its own process, a view of what they say, and one summary at the end."""
