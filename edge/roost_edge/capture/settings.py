"""Settings of the role capture; light, because every role reads the settings file."""

from msgspec import Struct


class CaptureSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked when, how often again, and what is kept."""

    deadline_ms: int = 2_000
    """An official result is asked for within this time of acceptance; normally the SLA of the task's schedule."""
    interval_ms: int = 1_000
    """Between two requests of one event, and between two pictures of a folder."""
    max_per_event: int = 30
    event_quiet_ms: int = 2_000
    """An event ends when nothing has moved for so long."""
    max_requests: int = 0
    """Stop accepting after so many requests of this run; 0 = never. The role goes on until it is told to stop."""
    max_seconds: float = 0.0
    """Stop accepting after so many seconds; 0 = never."""
    max_open: int = 200
    """Requests without receipt or result; beyond it frames are skipped and counted."""
    republish_after_ms: int = 4_000
    """A request still open so long after it was published is published again …"""
    republish_max_ms: int = 30_000
    """… and again, with a pause that doubles up to this."""
    republish_at_once: int = 16
    """Publications of this kind on their way to the broker at a time."""
    max_unforwarded: int = 500
    """Archived and answered requests that the gateway has not told of; beyond it the oldest are let go."""
    late_s: float = 5.0
    """A camera that delivers nothing for so long is said to be late: in the role's state and the camera's status."""
    stall_s: float = 10.0
    """A camera that delivers nothing for so long has failed: the role ends and is restarted."""
    frozen_s: float = 120.0
    """A live camera that shows the very same picture for so long is frozen, and opened again; 0: never."""
    reopen_ms: int = 1_000
    """A camera or stream that broke is opened again after this pause, which doubles from try to try."""
    reopen_tries: int = 5
    """So often in a row without a frame; then the role ends and is restarted. 0: at the first failure."""
    jpeg_quality: int = 88
    max_width: int = 1_920
    max_height: int = 1_920
    """Larger frames are scaled down before they are stored."""
    max_frame_bytes: int = 700_000
    frames_budget_mb: int = 500
    """Frames of this camera; beyond it the oldest that no open request needs are deleted."""
    keep_days: int = 30
    keep_requests: int = 100_000
    """Closed requests stay in the log until they are older or more than this."""
    why_interval_ms: int = 10_000
    """Why there was no event is kept for intervals of this length (`roost motion why`) …"""
    why_keep: int = 60_000
    """… and for so many of them, a week of them by default; 0: not at all."""
    pre_roll_ms: int = 0
    """So much from before an event is kept as pictures beside it; 0: none. More wear for the card."""
    post_roll_ms: int = 0
    """And so much from after its end."""
    roll_every_ms: int = 500
    """Between two pictures of a roll."""
    roll_ring_kb: int = 10_000
    """Memory for what may become a pre-roll; 640×480 take 922 kB."""
    roll_max_frames: int = 240
    """Of one event."""
    rolls_budget_mb: int = 100
    """All rolls of this camera on the card; beyond it the oldest events' are deleted."""
    state_every_ms: int = 500
    """The retained state with its counts is renewed at most this often."""

    def __post_init__(self) -> None:
        for field, low, high in (
            ("deadline_ms", 1, 3_600_000),
            ("interval_ms", 0, 3_600_000),
            ("max_per_event", 1, 1_000_000),
            ("event_quiet_ms", 0, 3_600_000),
            ("max_requests", 0, 10**9),
            ("max_seconds", 0, 10**9),
            ("max_open", 1, 10_000),
            ("republish_after_ms", 10, 3_600_000),
            ("republish_max_ms", 10, 3_600_000),
            ("republish_at_once", 1, 1_000),
            ("max_unforwarded", 0, 10_000),
            ("late_s", 0.05, 3_600),
            ("stall_s", 0.1, 3_600),
            ("frozen_s", 0, 86_400),
            ("reopen_ms", 1, 60_000),
            ("reopen_tries", 0, 1_000),
            ("jpeg_quality", 40, 100),
            ("max_width", 16, 8_192),
            ("max_height", 16, 8_192),
            ("max_frame_bytes", 10_000, 20_000_000),
            ("frames_budget_mb", 1, 10**7),
            ("keep_days", 1, 36_500),
            ("keep_requests", 1, 10**8),
            ("why_interval_ms", 1_000, 3_600_000),
            ("why_keep", 0, 10_000_000),
            ("pre_roll_ms", 0, 60_000),
            ("post_roll_ms", 0, 60_000),
            ("roll_every_ms", 10, 60_000),
            ("roll_ring_kb", 100, 200_000),
            ("roll_max_frames", 1, 10_000),
            ("rolls_budget_mb", 1, 10**6),
            ("state_every_ms", 10, 60_000),
        ):
            value = getattr(self, field)
            if not low <= value <= high:
                raise ValueError(f"{field} = {value} is not between {low} and {high}")
        if self.republish_max_ms < self.republish_after_ms:
            raise ValueError("republish_max_ms is less than republish_after_ms")
