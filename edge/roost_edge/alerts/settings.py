"""Settings of the alerts, each with its unit in its name."""

import msgspec

from roost_broker.topics import is_name
from roost_edge.alerts.rule_settings import RuleSettings

_MOST_RULES = 100


class AlertSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a result is worth an alert, how often, and how much may wait. Bad values raise ValueError."""

    quiet_labels: tuple[str, ...] = ()
    """Labels that are no news, such as an empty nest. A default answer never makes an alert, listed or not."""
    min_score: float = 0.5
    """Results below this score neither begin nor prolong a sighting."""
    update_interval_s: float = 10.0
    """A sighting that goes on is told again at most this often."""
    end_after_s: float = 60.0
    """A sighting ends when no such result came for this long."""
    cooldown_s: float = 30.0
    """After its end, the same label on the same camera makes no new alert for this long. 0 switches it off."""
    stale_after_s: float = 900.0
    """A result older than this (the role was away) makes no alert: it is news no longer."""
    max_open: int = 100
    """Sightings open at a time. Beyond it the one silent for longest is ended early."""
    expiry_s: int = 86_400
    """Brokers forget an alert nobody fetched after this long (MQTT Message Expiry); so does the outbox."""
    max_waiting: int = 10_000
    """Alerts kept for an absent broker. Beyond it updates are dropped first, then the oldest; both are counted."""
    snapshots: bool = True
    """Publish a small retained picture of the newest alert of each camera."""
    snapshot_width: int = 320
    """Longest side of the snapshot, in pixels."""
    snapshot_max_bytes: int = 20_000
    """The snapshot's quality, then its size, is reduced until it fits."""
    timezone: str = ""
    """Whose hours the rules mean, such as "Europe/Zurich"; empty: the device's own."""
    rules: dict[str, RuleSettings] = msgspec.field(default_factory=dict)
    """What people are told by notices, by the name of the rule."""

    def __post_init__(self) -> None:
        for name, low, high, unit in (
            ("min_score", 0.0, 1.0, ""),
            ("update_interval_s", 0.0, 86_400.0, " seconds"),
            ("end_after_s", 0.1, 86_400.0, " seconds"),
            ("cooldown_s", 0.0, 86_400.0, " seconds"),
            ("stale_after_s", 1.0, 604_800.0, " seconds"),
            ("max_open", 1, 1_000, " sightings"),
            ("expiry_s", 1, 604_800, " seconds"),
            ("max_waiting", 10, 1_000_000, " alerts"),
            ("snapshot_width", 32, 1_920, " pixels"),
            ("snapshot_max_bytes", 2_000, 60_000, " bytes"),
        ):
            value = getattr(self, name)
            if not low <= value <= high:  # also refuses NaN
                raise ValueError(f"{name} is {value}, but must lie between {low:g} and {high:g}{unit}")
        if len(self.rules) > _MOST_RULES:
            raise ValueError(f"there are {len(self.rules)} rules, but at most {_MOST_RULES} may be")
        for name in self.rules:
            if not is_name(name):
                raise ValueError(
                    f"{name[:80]!r} cannot be the name of a rule: letters, digits, '-' and '_', at most 64"
                )
