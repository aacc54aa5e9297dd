"""How a role says in `detail` of its retained state where it stands in a hand-over. People read it too.

Every phrase about a hand-over ends with its id, so that what an earlier one left behind is not mistaken for news.
"""

STANDBY = "standby"


def has_snapshot(handover_id: str) -> str:
    """The successor knows what the old one knew. Sent while it stands by."""
    return f"{STANDBY}; has the snapshot of hand-over {handover_id}"


def no_snapshot(why: str) -> str:
    """The successor cannot use the snapshot."""
    return f"{STANDBY}; cannot use the snapshot: {why}"


def in_charge(handover_id: str) -> str:
    """The successor has met the transition token: requests behind it are its own."""
    return f"in charge since hand-over {handover_id}"


def finishing(handover_id: str) -> str:
    """The old one has met the transition token and finishes what it has begun."""
    return f"finishing after hand-over {handover_id}"


def stands_by(detail: str) -> bool:
    """Whether a role that is ready waits for its transition token."""
    return detail.startswith(STANDBY)


def cannot_take_over(detail: str) -> bool:
    """Whether a successor says that it cannot use the snapshot."""
    return detail.startswith(f"{STANDBY}; cannot")


def says_in_charge(detail: str) -> bool:
    """Whether a successor that is ready has met its transition token."""
    return detail.startswith("in charge since ")


def has_handed_over(detail: str) -> bool:
    """Whether a role that is ready has a successor in charge already."""
    return detail.startswith("finishing after ")
