"""Settings of the rendezvous server, validated when made: `[tasks.<task>.rendezvous]` of a settings file."""

from msgspec import Struct

from roost_broker.clock import MS
from roost_rendezvous.mailbox.policy import MailboxPolicy


class ServerSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Times in milliseconds, sizes in bytes, the rest are counts. A value that cannot be raises ValueError."""

    qa: bool = False
    """Honour schedules that come with a request; elsewhere they are refused and counted."""
    grace_ms: int = 10_000
    """How long after its answer a mailbox counts late scores."""
    max_open: int = 10_000
    """Mailboxes at a time; beyond it a request gets the default at once."""
    max_open_bytes: int = 64_000_000
    """Requests in open mailboxes and the best answer in each; beyond it a request gets the default at once."""
    max_early: int = 1_000
    """Scores held whose request has not come yet."""
    max_early_bytes: int = 8_000_000
    """All of them together; the oldest make room."""
    early_ms: int = 10_000
    """How long they are held."""
    remember_answered: int = 10_000
    """Answered requests kept in mind, so that a repeated one gets the same answer again."""
    max_models: int = 64
    """Models in one mailbox."""
    held_deliveries: int = 48
    """Messages not acknowledged while their mailbox is open. Keep it well below the session's receive maximum (64),
    or requests that wait for scores would keep the scores out."""
    max_words_at_once: int = 2_000
    """Most scores and declines of one model that are read beyond two for each request; what a flooding model says
    beyond it is dropped unread, and counted."""
    journal_bytes: int = 16_000_000
    """Size at which the answer journal begins a new file; two files are kept."""
    schedule_wait_ms: int = 30_000
    """How long to wait for a schedule on the retained topic when none was given."""
    state_every_ms: int = 5_000
    """How often counts are published, if they changed."""

    def __post_init__(self) -> None:
        for name, least, most in _RANGES:
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(f"{name} is {value}; use a value from {least} to {most}")

    def policy(self) -> MailboxPolicy:
        """What of it concerns the core."""
        return MailboxPolicy(
            grace_ns=self.grace_ms * MS,
            max_open=self.max_open,
            max_open_bytes=self.max_open_bytes,
            max_early=self.max_early,
            max_early_bytes=self.max_early_bytes,
            early_ns=self.early_ms * MS,
            remember_answered=self.remember_answered,
            max_models=self.max_models,
        )


_RANGES = (
    ("grace_ms", 0, 3_600_000),
    ("max_open", 1, 10_000_000),
    ("max_open_bytes", 100_000, 10_000_000_000),
    ("max_early", 1, 1_000_000),
    ("max_early_bytes", 100_000, 10_000_000_000),
    ("early_ms", 1, 3_600_000),
    ("remember_answered", 1, 1_000_000),
    ("max_models", 1, 1_000),
    ("held_deliveries", 1, 65_000),
    ("max_words_at_once", 10, 1_000_000),
    ("journal_bytes", 100_000, 10_000_000_000),
    ("schedule_wait_ms", 1, 3_600_000),
    ("state_every_ms", 100, 3_600_000),
)
