"""Settings of alarms, validated when made: `[analytics.alarms]` of a settings file. Light, for every role reads it."""

from msgspec import Struct

from roost_broker.errors import Misuse

_MINUTE = 60_000_000_000
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_WEEK = 7 * _DAY


class AnalyticsAlarmSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One knob, and what hardly anybody needs to turn. A value that cannot be raises `Misuse`."""

    hours_per_week: float = 2.0
    """The knob: so much time a week somebody is willing to spend on alarms while nothing is wrong (the book: half of
    the tenth of one's time that goes into mending)."""
    minutes_per_alarm: float = 20.0
    """How long looking into one alarm takes. Two hours a week at 20 minutes each are 6 alarms a week."""

    history_days: float = 60.0
    """What is usual is learnt from about so many days; older ones fade (the book: "a month or three")."""
    least_history_days: float = 7.0
    """A signal with less history than this never pages; it is listed as `not enough history`."""
    least_readings: int = 200
    """The same, as a number of readings."""
    least_events_per_hour: float = 30.0
    """The same for signals that count events: with fewer, chance alone moves them. 0: no such bound."""
    least_calibration_hours: float = 48.0
    """The composite of all signals has to be watched for so long before it may page."""

    calm_minutes: float = 60.0
    """An episode ends when nothing was strange for so long; what comes later is another one."""
    join_minutes: float = 60.0
    """What becomes strange in another task so soon after an episode has opened belongs to it."""
    settle_hours: float = 24.0
    """What is still strange after so long, though nobody acknowledged it, is taken as the new normal."""
    lasting_minutes: float = 60.0
    """How far back "for an hour" looks: slight strangeness that lasts counts as much as a great one that does not."""
    update_minutes: float = 10.0
    """An open episode is told anew at most so often."""
    marker_hours: float = 24.0
    """A roll-out step so long before an episode is shown with it."""
    hold_minutes: float = 30.0
    """A signal's last reading counts for so long; then nothing is known of it until it speaks again."""

    max_signals: int = 2_000
    """Beyond it, new signals are counted and left out."""
    max_common: int = 256
    """Among so many signals, those first seen, is looked for what all do together."""
    max_contributions: int = 12
    """Shown with an episode."""
    max_open: int = 16
    """Episodes open at a time; beyond it whatever else is strange joins the newest."""
    max_markers: int = 64
    """Markers remembered, newest first."""

    def __post_init__(self) -> None:
        for name, least, most in (
            ("hours_per_week", 0.01, 168),
            ("minutes_per_alarm", 0.1, 10_000),
            ("history_days", 1, 3_650),
            ("least_history_days", 0.01, 3_650),
            ("least_readings", 20, 10_000_000),
            ("least_events_per_hour", 0, 1e9),
            ("least_calibration_hours", 1, 10_000),
            ("calm_minutes", 1, 10_080),
            ("join_minutes", 0, 10_080),
            ("settle_hours", 0.1, 10_000),
            ("lasting_minutes", 1, 10_080),
            ("update_minutes", 0, 10_080),
            ("marker_hours", 0, 10_000),
            ("hold_minutes", 1, 10_080),
            ("max_signals", 1, 100_000),
            ("max_common", 0, 1_024),
            ("max_contributions", 1, 1_000),
            ("max_open", 1, 1_000),
            ("max_markers", 0, 10_000),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise Misuse(f"{name} is {value}.", f"Use a value from {least} to {most}.")
        if self.least_history_days > self.history_days:
            raise Misuse(
                f"least_history_days is {self.least_history_days}, more than history_days ({self.history_days}).",
                "Nothing would ever be known for long enough; make history_days the larger one.",
            )
        most = _WEEK / 4 / self.ns("calm_minutes")
        if not 0.02 <= self.alarms_per_week <= most:
            raise Misuse(
                f"{self.hours_per_week} hours a week at {self.minutes_per_alarm} minutes are "
                f"{self.alarms_per_week:.4g} alarms a week.",
                f"Choose them so that there is one a year at least, and {most:.4g} a week at most: more of them would "
                f"run into each other, with {self.calm_minutes:g} minutes of calm between two.",
            )

    @property
    def alarms_per_week(self) -> float:
        """The false-alarm budget that the knob means."""
        return self.hours_per_week * 60.0 / self.minutes_per_alarm

    def ns(self, name: str) -> int:
        """The duration `name` (its unit is in the name) in nanoseconds."""
        unit = {"minutes": _MINUTE, "hours": _HOUR, "days": _DAY}[name.rsplit("_", 1)[1]]
        return round(float(getattr(self, name)) * unit)
