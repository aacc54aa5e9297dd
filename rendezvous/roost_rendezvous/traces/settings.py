"""Settings of traces, validated when made: `[traces]` of a settings file. Light, for every role reads it."""

from msgspec import Struct


class TraceSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which requests are traced, and how much of it is kept. A value that cannot be raises ValueError."""

    share: float = 1.0
    """Share of all requests that is traced, from 0 to 1. Each traced request costs a small message per component."""
    on_demand: bool = True
    """In QA, trace every request that asks for it (`diagnostics.trace`). Elsewhere such a wish is refused."""
    ring_bytes: int = 4_000_000
    """The newest traces in the monitor's memory; the oldest give way."""
    ring_requests: int = 5_000
    """The same, as a number of requests."""
    settle_ms: int = 15_000
    """A request of which nothing was heard for so long is taken as told to its end. Longer than the grace time of the
    rendezvous, so that late scores are counted."""
    store_bytes: int = 64_000_000
    """Traces on the card, in bytes; beyond it the oldest are deleted."""
    store_requests: int = 50_000
    """The same, as a number of requests."""
    keep_days: int = 14
    """The same, as days."""
    flush_ms: int = 1_000
    """How often new traces are written to the card, in one transaction."""

    def __post_init__(self) -> None:
        for name, least, most in (
            ("share", 0, 1),
            ("ring_bytes", 100_000, 16_000_000),
            ("ring_requests", 10, 100_000),
            ("settle_ms", 100, 3_600_000),
            ("store_bytes", 100_000, 100_000_000_000),
            ("store_requests", 10, 10_000_000),
            ("keep_days", 1, 36_500),
            ("flush_ms", 10, 60_000),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(f"{name} is {value}; use a value from {least} to {most}")
