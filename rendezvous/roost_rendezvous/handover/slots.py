"""Two slots for a role that can hand over: one process is in charge in one, its successor gets ready in the other.

The slot is part of the role's name, and so of its state topic, its MQTT session, its log and its lock.
"""

SLOTS = ("", "b")
OTHER_SLOT = {"": "b", "b": ""}


def role_name(component: str, task: str, slot: str) -> str:
    """`rendezvous-nest`, or `rendezvous-nest-b` in the second slot."""
    return "-".join(part for part in (component, task, slot) if part)
