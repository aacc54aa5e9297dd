"""The fabric: messages, topics, sessions, frames by reference, the broker's configuration.

Everything here is about *carrying* requests, scores and results; nothing here decides anything.
"""
