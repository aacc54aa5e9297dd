"""Settings of the meta-analytics, validated when made: `[analytics]` of a settings file. Light: every role reads it."""

from msgspec import Struct, field

from roost_broker.topics import is_name
from roost_rendezvous.analytics.alarms.settings import AnalyticsAlarmSettings
from roost_rendezvous.analytics.sketches.settings import SketchSettings


class AnalyticsSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the monitor watches, and how often it may be wrong. A value that cannot be raises ValueError."""

    enabled: bool = True
    """Off: the monitor keeps traces, and nothing else."""
    alarms: AnalyticsAlarmSettings = field(default_factory=AnalyticsAlarmSettings)
    """`hours_per_week` is the one knob: how long somebody is ready to look at false alarms."""
    look_s: int = 60
    """How often all that is watched is looked at."""
    canary: str = "canary"
    """The model that never changes and is never official: what tells a change of the world from one of a model."""
    settle_ms: int = 10_000
    """A request of which nothing was heard for so long becomes a row; what comes later is counted as late."""
    open_requests: int = 5_000
    """Requests that wait to become rows, at most; of more the oldest settles early."""
    sketches: SketchSettings = field(default_factory=SketchSettings)
    """How much is kept of the ten-minute windows."""
    keep_rows: int = 20_000
    """The newest requests with every model's words, for `roost compare` and `roost report`; about 1 kB each."""
    streams: int = 1_000
    """Watched quantities at most; of more a device's newest are left out, and counted."""
    save_minutes: int = 15
    """How often what the detectors know is written to the card as a whole; between two, only what came is."""
    journal_rows: int = 5_000
    """Messages that are written to the card between two such saves; of more it is saved at once. A monitor that was
    killed handles them again: with sixty signals 12 ms each on a machine twenty times slower than a PC, so a minute."""

    def __post_init__(self) -> None:
        for name, least, most in (
            ("look_s", 1, 3_600),
            ("settle_ms", 100, 3_600_000),
            ("open_requests", 10, 100_000),
            ("keep_rows", 0, 10_000_000),
            ("streams", 10, 100_000),
            ("save_minutes", 1, 1_440),
            ("journal_rows", 100, 1_000_000),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(f"{name} is {value}; use a value from {least} to {most}")
        if self.canary and not is_name(self.canary):
            raise ValueError(f"canary is {self.canary[:80]!r}; give the name of a model, or nothing")
