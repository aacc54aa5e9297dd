"""How busy the nest was in the last hour: a model with internal state, and the example of one.

A visit begins with a request that no other of the same camera came shortly before. The state is the moments of the
requests of the last hour, by camera, so a replay of the last hour and two minutes gives it whole.
"""

from typing import Any

HOUR_MS = 3_600_000
PAUSE_MS = 120_000
USUAL = 3


def fresh() -> dict[str, list[int]]:
    """No request seen."""
    return {}


def observe(memory: dict[str, list[int]], context: Any) -> int:
    """Add this request; the visits of the last hour, this one included, are what `predict` may know."""
    camera, now = context.tags.get("camera", ""), context.at_ms
    since = now - HOUR_MS - PAUSE_MS
    moments = sorted([*memory.get(camera, []), now])  # a clock may have been set back
    kept = memory[camera] = [moment for moment in moments if moment > since]
    for silent in [name for name, theirs in memory.items() if theirs[-1] <= since]:
        del memory[silent]  # whoever asks chooses the names
    before = [None, *kept]
    return sum(
        1
        for earlier, moment in zip(before, kept, strict=False)
        if moment > now - HOUR_MS and (earlier is None or moment - earlier > PAUSE_MS)
    )


def predict(image: Any, context: Any) -> dict[str, float]:
    """Quiet, usual or busy; sure when far from the usual number of visits."""
    visits = context.past or 0
    busy = visits / (visits + USUAL)
    usual = 1 - abs(busy - 0.5) * 2
    return {"busy": busy * (1 - usual), "usual": usual, "quiet": (1 - busy) * (1 - usual)}
