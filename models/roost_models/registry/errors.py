"""What can go wrong between a device and the registry, by name: who asks must act differently on each."""

from typing import Literal, TypeAlias

from roost_broker.errors import Misuse, PeerError, RoostError

Reason: TypeAlias = Literal[
    "rollback", "freeze", "mix-and-match", "endless", "slow", "signature", "altered", "malformed", "not-published"
]
"""`rollback`: older than what was seen before. `freeze`: expired, so perhaps held back. `mix-and-match`: parts of
different states of the registry. `endless`: more bytes than announced or allowed. `slow`: drips, so that nothing else
can be done. `signature`: not signed by enough keys that are trusted. `altered`: a file whose content is another.
`malformed`: signed, or claimed to be, and makes no sense. `not-published`: not among what is signed."""


class RegistryUnreachable(PeerError):
    """Nobody answers, or not with what was asked for. Trying again later is all there is to do."""


class RegistryRefused(PeerError):
    """Somebody answers, and is not believed. Nothing that was served before changes."""

    def __init__(self, reason: Reason, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.reason: Reason = reason


class NoRoom(RoostError):
    """The bundle does not fit on this disk and leave what must stay free."""


class Stopped(RoostError):
    """The caller asked to stop; what was downloaded so far stays for the next time."""


class KeysMissing(Misuse):
    """A role cannot be signed here: too few of its keys are in the folders given."""


class AlreadyPublished(Misuse):
    """This version is in the registry with another content."""
