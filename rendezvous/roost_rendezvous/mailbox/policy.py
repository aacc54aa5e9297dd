"""Bounds of the rendezvous core, validated when made."""

from msgspec import Struct

from roost_broker.clock import SECOND
from roost_broker.errors import Misuse


class MailboxPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long and how much the core keeps. Counts are of mailboxes, words (scores or declines), ids and models.

    Bytes are those that the shell names as `size`.
    """

    grace_ns: int = 10 * SECOND
    """How long a mailbox stays open after its answer, so that late scores are counted."""
    max_open: int = 10_000
    """Mailboxes, answered ones in their grace time included."""
    max_open_bytes: int = 64_000_000
    """Requests in open mailboxes and the best answer in each."""
    max_grace: int = 4_000
    """Of them, answered ones; beyond it the oldest is closed before its time."""
    max_early: int = 1_000
    """Words held for requests that have not arrived yet."""
    max_early_bytes: int = 8_000_000
    """All of them together."""
    early_ns: int = 10 * SECOND
    """How long they are held."""
    remember_answered: int = 10_000
    """Ids of answered requests kept, so that a repeated request is not answered anew."""
    max_models: int = 64
    """Models in one mailbox, and models whose state is known."""
    max_held: int = 1_000
    """Repeated requests held in a hand-over until the predecessor says whether it has them."""
    hold_ns: int = SECOND
    """How long they are held at most; a request near its default's time only for half of what is left."""

    def __post_init__(self) -> None:
        for name in ("grace_ns", "early_ns", "hold_ns"):
            if not 0 <= getattr(self, name) <= 3600 * SECOND:
                raise Misuse(f"{name} is {getattr(self, name)}.", "Give nanoseconds from 0 to an hour.")
        for name in ("max_open", "max_grace", "max_early", "remember_answered", "max_models", "max_held"):
            if not 1 <= getattr(self, name) <= 10_000_000:
                raise Misuse(f"{name} is {getattr(self, name)}.", "Give a count from 1 to 10,000,000.")
        for name in ("max_open_bytes", "max_early_bytes"):
            if not 1 <= getattr(self, name) <= 10**12:
                raise Misuse(f"{name} is {getattr(self, name)}.", "Give bytes from 1 to 10^12.")
