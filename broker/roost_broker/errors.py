"""Errors say whose fault it is and what to do next.

Two kinds of blame: `Misuse` (the caller asked for something that cannot be) and `PeerError`
(somebody else's message, file or server was not what it should be). Both end with a remedy.
"""


class RoostError(Exception):
    """Any error Roost raises on purpose. `remedy` is the next step for whoever reads it."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}".strip()


class Misuse(RoostError):
    """The caller's settings, arguments or order of calls cannot work."""


class PeerError(RoostError):
    """What came from outside (a message, a file, a broker) was not as agreed."""


class Malformed(PeerError):
    """Bytes that do not decode to the message they should be. They go to the dead-letter topic."""


class FrameUnavailable(PeerError):
    """A frame reference that cannot be resolved: `reason` is `missing`, `truncated`, `altered` or `withheld`."""

    def __init__(self, reason: str, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.reason = reason


class QueueFull(RoostError):
    """A bounded queue is at its bound; the caller must wait, drop or decline."""
