"""Who may do what on a device's broker, as the text of Mosquitto's `acl_file`. Pure; which rights a role needs is in
`role_access`.

What Mosquitto 2.0 makes of such a file (tried, and read in its source):

1. What is not granted is denied. A user without a line may connect, and hears and says nothing.
2. Publishing is checked at once; MQTT 5 clients are told (PUBACK 0x87, "not authorized").
3. A last will is checked when it is due, not when it is announced: a forbidden one is dropped without a word.
4. Subscribing is never refused. Reading is checked for each message on its way to the subscriber, so a subscription
   to what one may not read stays silent, while its owner is away as well.
5. A retained message is delivered only while whoever published it may still write there.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, TypeAlias

from roost_broker.errors import Misuse
from roost_broker.topics import is_filter, matches

Access: TypeAlias = Literal["read", "write", "readwrite"]


class Grant(NamedTuple):
    """One right. `topic` is a filter without `$share`: a share is read with the right to read its topic."""

    access: Access
    topic: str


Rights: TypeAlias = Mapping[str, tuple[Grant, ...]]
"""Grants by user."""


def read(*topics: str) -> tuple[Grant, ...]:
    """The right to hear each of them."""
    return tuple(Grant("read", topic) for topic in topics)


def write(*topics: str) -> tuple[Grant, ...]:
    """The right to publish on each of them."""
    return tuple(Grant("write", topic) for topic in topics)


def render(rights: Rights, title: str) -> str:
    """The file. Raises `Misuse` for a user or a topic that could end its line and begin another."""
    lines = [f"# Written by `roost broker setup`; changes are overwritten. {title}"]
    for user in sorted(rights):
        if not user or not user.isprintable() or user != user.strip() or any(sign in user for sign in "+#/"):
            raise Misuse(f"{user!r} cannot be a user of the broker.", "Use letters, digits, '-', '_', '.' and ':'.")
        lines += ["", f"user {user}"]
        for access, topic in _distinct(rights[user]):
            if not is_filter(topic) or topic.startswith("$share/") or not topic.isprintable() or topic != topic.strip():
                raise Misuse(f"{topic!r} cannot stand in the broker's access rules.", "Name a topic or a filter.")
            lines.append(f"topic {access} {topic}")
    return "\n".join(lines) + "\n"


def may(grants: Iterable[Grant], access: Literal["read", "write"], topic: str) -> bool:
    """Whether these grants allow it, as Mosquitto decides."""
    return any(access in grant.access and matches(grant.topic, topic) for grant in grants)


def _distinct(grants: Iterable[Grant]) -> Iterable[Grant]:
    return dict.fromkeys(grants)
