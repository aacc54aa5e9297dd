"""What mended itself, as it is heard: processes that were started again, connections that came back, fallbacks. Pure.

None of it deserves a page (requirement N7): it is counted by kind and hour (`alarms.repaired`) and told when somebody
asks; only a changed rate is a signal like any other. What was done on purpose is no repair: a process that ended in
order (`stopped`), one that came back as another version, and whatever happened while the device was off.
"""

from typing import Any

import msgspec

from roost_rendezvous.analytics.alarms.repaired import SelfRepairs
from roost_rendezvous.analytics.reading import Reading
from roost_rendezvous.analytics.watch.observed import Decided, Standing
from roost_rendezvous.analytics.watch.overview import Repaired

FALLBACK = "fallback answers in time"
_BACK, _AGAIN = "reconnections", "new links"
_OF_LINKS = (_BACK, _AGAIN)
_MOST = 1_000
"""Processes followed, replicas apart."""


class _Process(msgspec.Struct, array_like=True):
    """A process as it last stood."""

    task: str
    name: str
    replica: int
    session: int
    version: str
    stood: str
    """`ready`, `stopped`, `gone` or `failed`; what comes between (`starting`, `warming`) decides nothing."""
    linked: int
    """A gateway's links to the centre in this session; -1: no gateway."""


class Mending:
    """Of one device. Bounded by `SelfRepairs` and by `_MOST` processes."""

    def __init__(self) -> None:
        self._repairs = SelfRepairs()
        self._processes: dict[tuple[str, str, int], _Process] = {}

    def stands(self, one: Standing, now: int) -> None:
        """A process has told its state, or its last will has."""
        if one.state in ("starting", "warming"):
            return
        key = (one.task, one.name, one.replica)
        before = self._processes.get(key)
        if before is None and len(self._processes) >= _MOST:
            return
        if before is not None and before.stood == "stopped" and before.session == one.session:
            return  # it is over: what the broker had kept of it is told once more
        if one.state == "ready" and before is not None:
            if what := _mended(before, one):
                self._repairs.note(one.task, f"{what} of {one.name}", now)
            if times := _linked_again(before, one):
                self._repairs.note(one.task, f"{_AGAIN} of {one.name} to the centre", now, times)
        self._processes[key] = _Process(*key, one.session, one.version, one.state, one.linked)

    def decided(self, one: Decided, now: int) -> None:
        """A result. The task is known from its first one, so that hours without a fallback are counted, too."""
        in_time = one.elapsed_ms <= one.sla_ms and not one.late
        self._repairs.note(one.task, FALLBACK, now, int(one.cause == "fallback" and in_time))

    def away(self) -> None:
        """The device was off: every session is over, and who comes now was not mended."""
        for process in self._processes.values():
            process.stood = "stopped"

    def tick(self, now: int) -> tuple[Reading, ...]:
        """A reading for each kind whose hour is over; how often links are lost is a signal of `links` already."""
        return tuple(one for one in self._repairs.tick(now) if not one.signal.part.startswith(_OF_LINKS))

    def told(self, task: str) -> tuple[Repaired, ...]:
        """What there was of a task and of the device, with an empty name everything; the most frequent first."""
        found = (Repaired(*counted) for counted in self._repairs.counts())
        mine = (one for one in found if one.total and (not task or one.task in ("", task)))
        return tuple(sorted(mine, key=lambda one: (-one.week, -one.total)))

    def snapshot(self) -> Any:
        """Plain values."""
        return {"repairs": self._repairs.snapshot(), "processes": msgspec.to_builtins(list(self._processes.values()))}

    def restore(self, kept: Any) -> None:
        """What `snapshot` gave."""
        self._repairs.restore(kept["repairs"])
        found = msgspec.convert(kept["processes"], list[_Process])
        self._processes = {(one.task, one.name, one.replica): one for one in found}


def _mended(before: _Process, now: Standing) -> str:
    """How a process that is ready now came back; empty: it was not away, or somebody meant it."""
    if before.stood == "stopped":
        return ""
    if before.session != now.session:
        return "restarts" if before.version == now.version else ""
    return {"gone": _BACK, "failed": "recoveries"}.get(before.stood, "")


def _linked_again(before: _Process, now: Standing) -> int:
    """How often a gateway's link came back; its first one in a session is no repair."""
    return max(0, now.linked - max(before.linked, 1)) if before.session == now.session else 0
