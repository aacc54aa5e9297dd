"""The phases of a line and every legal change between them; the diagram in docs/ota.md is drawn from this table."""

from roost_broker.errors import RoostError
from roost_broker.messages.fleet import OtaPhase

TRANSITIONS: dict[OtaPhase, dict[OtaPhase, str]] = {
    "idle": {
        "deferred": "wanted, but the device is busy",
        "downloading": "a bundle is wanted",
        "warming": "restarted with a shadow on the card",
        "shadow": "wanted beside again",
        "serving": "what answers is the roll-out's",
        "returning": "the one before is wanted back",
        "failed": "wanted, but rejected here",
    },
    "deferred": {
        "idle": "wanted no more",
        "downloading": "quiet, or the limit has passed",
        "testing": "quiet, or the limit has passed",
        "returning": "the one before is wanted back",
        "failed": "rejected meanwhile",
    },
    "downloading": {
        "idle": "wanted no more",
        "verifying": "all bytes are there",
        "returning": "the one before is wanted back",
        "failed": "try again later",
    },
    "verifying": {
        "idle": "wanted no more",
        "deferred": "the device is busy",
        "testing": "whole, and fit for this device",
        "returning": "the one before is wanted back",
        "failed": "refused",
    },
    "testing": {
        "idle": "wanted no more",
        "warming": "goldens are right",
        "returning": "the one before is wanted back",
        "failed": "goldens are wrong: rejected",
    },
    "warming": {
        "idle": "wanted no more",
        "shadow": "its process is warm",
        "serving": "restarted while it served",
        "returning": "the one before is wanted back",
        "failed": "never became ready: rejected",
    },
    "shadow": {
        "idle": "wanted no more",
        "deferred": "another is wanted, but the device is busy",
        "downloading": "another is wanted",
        "warming": "its process began again",
        "serving": "the roll-out lets it serve",
        "returning": "the one before is wanted back",
        "failed": "worse than it may be: rejected",
    },
    "serving": {
        "idle": "what answers is no roll-out's",
        "deferred": "another is wanted, but the device is busy",
        "downloading": "another is wanted",
        "returning": "worse than it may be, or no longer wanted",
        "failed": "rejected, and nothing to return to",
    },
    "returning": {
        "idle": "the one before answers",
        "shadow": "the one before answers, the new one is beside",
        "serving": "the one before is the roll-out's",
        "failed": "the one before answers, the new one is rejected",
    },
    "failed": {
        "idle": "wanted no more",
        "deferred": "try again, but the device is busy",
        "downloading": "try again",
        "shadow": "wanted beside again",
        "serving": "what answers is the roll-out's",
        "returning": "the one before is wanted back",
    },
}


class Impossible(RoostError):
    """A change that the table does not have: a defect of the machine, never of who talks to it."""


def check(before: OtaPhase, after: OtaPhase) -> None:
    """Raise `Impossible` unless the table has this change (or it is none)."""
    if before != after and after not in TRANSITIONS[before]:
        raise Impossible(f"A line cannot go from {before} to {after}.", "This is a defect of Roost: report it.")


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = [f"    {one} --> {to}: {why}" for one, ways in TRANSITIONS.items() for to, why in ways.items()]
    return "\n".join(["stateDiagram-v2", "    [*] --> idle", *lines])
