"""Moments as a device sees them, and how old something is that may be from before the last start. Pure."""

from dataclasses import dataclass

from roost_broker.clock import looks_synced


@dataclass(frozen=True, slots=True)
class Stamp:
    """A moment as this device saw it: both clocks, and the boot without which the first means nothing."""

    boot: str
    monotonic_ns: int
    wall_ns: int


def age_ns(then: Stamp, now: Stamp) -> int:
    """How old `then` is; never more than is certain: better an old message than a lost one.

    Of an earlier boot only the wall clock can tell, when it was set both then and now; else at least the whole time
    since this boot has passed.
    """
    if then.boot == now.boot:
        return max(0, now.monotonic_ns - then.monotonic_ns)
    since_boot = max(0, now.monotonic_ns)
    if looks_synced(then.wall_ns) and looks_synced(now.wall_ns):
        return max(since_boot, now.wall_ns - then.wall_ns)
    return since_boot


def wall_age_ns(then_wall_ns: int, now_wall_ns: int) -> int:
    """By the wall clock alone, the only one in messages; a clock that was not set makes nothing look old."""
    if looks_synced(then_wall_ns) and looks_synced(now_wall_ns):
        return max(0, now_wall_ns - then_wall_ns)
    return 0
