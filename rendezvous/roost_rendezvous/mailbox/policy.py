"""Bounds of the rendezvous core, validated when made."""

from msgspec import Struct

from roost_broker.clock import SECOND
from roost_broker.errors import Misuse


class MailboxPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long and how much the core keeps. Counts are of mailboxes, words (scores or declines), ids and models."""

    grace_ns: int = 10 * SECOND
    """How long a mailbox stays open after its answer, so that late scores are counted."""
    max_open: int = 10_000
    """Mailboxes, answered ones in their grace time included."""
    max_grace: int = 4_000
    """Of them, answered ones; beyond it the oldest is closed before its time."""
    max_early: int = 1_000
    """Words held for requests that have not arrived yet."""
    early_ns: int = 10 * SECOND
    """How long they are held."""
    remember_answered: int = 10_000
    """Ids of answered requests kept, so that a repeated request is not answered anew."""
    max_models: int = 64
    """Models in one mailbox, and models whose state is known."""

    def __post_init__(self) -> None:
        for name in ("grace_ns", "early_ns"):
            if not 0 <= getattr(self, name) <= 3600 * SECOND:
                raise Misuse(f"{name} is {getattr(self, name)}.", "Give nanoseconds from 0 to an hour.")
        for name in ("max_open", "max_grace", "max_early", "remember_answered", "max_models"):
            if not 1 <= getattr(self, name) <= 10_000_000:
                raise Misuse(f"{name} is {getattr(self, name)}.", "Give a count from 1 to 10,000,000.")
