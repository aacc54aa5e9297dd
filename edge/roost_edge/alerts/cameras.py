"""Cameras as others see them: whether each works, by what its process says, and what it saw last. Pure.

1. A camera is online while its process says `ready`; a process that hangs, failed or vanished (its last will) is not.
2. A state of an earlier session than the newest known is a straggler, such as a will that came late.
3. Of a camera nobody has heard of nothing is said.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from roost_broker.headers import Header
from roost_broker.messages import CameraStatus, RoleState
from roost_edge.alerts.sightings import Sighting

_MOST_OPEN = 64


@dataclass(frozen=True, slots=True)
class LastSeen:
    """The newest sighting of a camera."""

    camera: str
    task: str
    label: str
    score: float
    at_ms: int


@dataclass(frozen=True, slots=True)
class _Camera:
    session: int = -1
    online: bool = False
    detail: str = ""
    seen: LastSeen | None = None


class Cameras:
    """All of the device's. `heard`, `seen` and `opened` say which camera is to be told anew, or none."""

    def __init__(self, names: Sequence[str]) -> None:
        self._known = {name: _Camera() for name in names}
        self._open: dict[str, list[str]] = {name: [] for name in names}

    def restore(self, saved: Iterable[LastSeen]) -> None:
        """Take back what was kept."""
        for one in saved:
            if one.camera in self._known:
                self._known[one.camera] = replace(self._known[one.camera], seen=one)

    def heard(self, camera: str, state: RoleState) -> bool:
        """Its process said how it stands. Returns whether others should be told."""
        known = self._known[camera]
        if state.session < known.session:
            return False
        fresh = replace(known, session=state.session, online=state.state == "ready", detail=_detail(state))
        self._known[camera] = fresh
        return known.session < 0 or (fresh.online, fresh.detail) != (known.online, known.detail)

    def seen(self, sighting: Sighting) -> LastSeen:
        """A sighting began or goes on; what to keep of it."""
        one = LastSeen(sighting.camera, sighting.task, sighting.label, sighting.score, sighting.last_ms)
        self._known[sighting.camera] = replace(self._known[sighting.camera], seen=one)
        return one

    def opened(self, sightings: Iterable[Sighting]) -> tuple[str, ...]:
        """These sightings go on now. Returns the cameras for which that is news."""
        found: dict[str, list[str]] = {name: [] for name in self._known}
        for one in sightings:
            if one.camera in found and one.label not in found[one.camera]:
                found[one.camera].append(one.label)
        before, self._open = self._open, {name: sorted(labels) for name, labels in found.items()}
        return tuple(name for name in found if self._open[name] != before[name])

    def status(self, camera: str, header: Header) -> CameraStatus | None:
        """What is said of it; None while nothing is known."""
        known = self._known[camera]
        if known.session < 0:
            return None
        seen = known.seen
        return CameraStatus(
            timestamp=header.timestamp,
            message_id=header.message_id,
            provenance=header.provenance,
            camera=camera,
            state="online" if known.online else "offline",
            detail=known.detail,
            label=None if seen is None else seen.label,
            score=None if seen is None else seen.score,
            task=None if seen is None else seen.task,
            seen_at=None if seen is None else seen.at_ms,
            open=self._open[camera][:_MOST_OPEN],
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Of all cameras."""
        return tuple(self._known)


def _detail(state: RoleState) -> str:
    return state.detail or ("" if state.state == "ready" else f"its process is {state.state}")
