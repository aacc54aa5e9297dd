"""How busy each model's process is, and how much more it could take, from the states that it publishes. Pure.

A state tells the processor time since the process began; two of the same session tell the share of one core between
them. The busiest of the last hour decides the head-room, not the mean: events come in bursts. Times are the sender's.
"""

from collections import deque
from collections.abc import Iterator

from roost_broker.messages import ModelState
from roost_rendezvous.analytics.faces.metrics import Family, gauge

LEAST = 30
"""Stretches that must be known before anything is said of head-room: with fewer the busiest is one by chance."""
_MOST = 1_000
_SHORTEST_MS, _LONGEST_MS = 1_000, 600_000
_OVER_MS = 3_600_000
_LABELS = ("task", "model", "replica")
Key = tuple[str, str, str]


class Busy:
    """Bounded: so many processes, and of each an hour's stretches (one for each state, every ten seconds)."""

    def __init__(self) -> None:
        self._last: dict[Key, ModelState] = {}
        self._shares: dict[Key, deque[tuple[int, float]]] = {}

    def take(self, task: str, state: ModelState) -> None:
        """A model's process has told how it stands."""
        key = (task, state.model, str(state.replica))
        before = self._last.get(key)
        if before is None and len(self._last) >= _MOST:
            return
        if before is not None and state.timestamp - before.timestamp < _SHORTEST_MS:
            if before.session == state.session and state.timestamp >= before.timestamp:
                return  # told twice in a second: the stretch goes on
            before = None
        self._last[key] = state
        if before is None or before.session != state.session or before.usage is None or state.usage is None:
            return
        passed = state.timestamp - before.timestamp
        if passed <= _LONGEST_MS:  # longer: the clock was set, or nobody spoke
            share = max(0, state.usage.cpu_ms - before.usage.cpu_ms) / passed
            self._shares.setdefault(key, deque(maxlen=_OVER_MS // _SHORTEST_MS)).append((state.timestamp, share))

    def told(self) -> Iterator[Family]:
        """Both families; a process of which too little is known has no head-room in them."""
        busy, room = [], []
        for key, shares in self._shares.items():
            newest = shares[-1][0]
            while shares[0][0] < newest - _OVER_MS:
                shares.popleft()
            busy.append((key, shares[-1][1]))
            peak = max(share for _, share in shares)
            if len(shares) >= LEAST and peak > 0:
                room.append((key, 1.0 / peak))
        yield gauge(
            "roost_model_busy_ratio",
            "Share of one core that a model's process used between its two newest states.",
            _LABELS,
            busy,
            unit="ratio",
        )
        yield gauge(
            "roost_model_head_room_ratio",
            "So many times the load of its busiest stretch in the last hour one core could take; left out while less "
            f"than {LEAST} stretches are known.",
            _LABELS,
            room,
            unit="ratio",
        )
