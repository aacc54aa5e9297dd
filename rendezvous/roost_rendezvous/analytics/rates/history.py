"""Levels from the stream's own past: how high does its surprise get when nothing is wrong? Pure.

Thresholds computed for independent events fire tens to hundreds of times too often on real ones, which come in clumps
(requirements §4.3). So the surprise is judged by its own history. Strange moments come in clumps, too: what counts is
the largest surprise of each block of time (a quarter of a day), one for a clump, never single readings.

The level for a budget beyond what history holds is extrapolated by an exponential tail through the largest blocks (the
mean excess over the k-th largest), so that one week of history gives a level for one false alarm a month, cautiously.
"""

import math
from array import array
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from roost_broker.clock import SECOND
from roost_broker.errors import Misuse

HOUR = 3600 * SECOND
WEEK = 168 * HOUR


class HistoryPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the past is cut and how much of it is kept."""

    block_ns: int = 6 * HOUR
    """What is strange within one block is one event."""
    keep_blocks: int = 240
    """At 6 hours a block, 60 days (the book: "a month or three")."""
    least_blocks: int = 28
    """Before so many the answer is "not enough history"; at 6 hours a block, a week."""

    def __post_init__(self) -> None:
        if not SECOND <= self.block_ns <= WEEK:
            raise Misuse(f"block_ns is {self.block_ns}.", "Give nanoseconds from a second to a week.")
        if not 8 <= self.least_blocks <= self.keep_blocks <= 2_000:
            raise Misuse(
                f"least_blocks is {self.least_blocks}, keep_blocks {self.keep_blocks}.",
                "Give 8 ≤ least_blocks ≤ keep_blocks ≤ 2,000.",
            )


class OwnHistory:
    """The largest surprise of each block."""

    def __init__(self, policy: HistoryPolicy | None = None) -> None:
        self.policy = policy or HistoryPolicy()
        self._blocks = array("f")  # 4 bytes each; a list of floats takes 32
        self._block: int | None = None
        self._largest = 0.0

    def add(self, at: int, surprise: float) -> bool:
        """A reading; True when it closed a block; `level` may have moved. Late ones count for the open block."""
        block = at // self.policy.block_ns
        if self._block is None:
            self._block = block
        closed = block > self._block
        if closed:
            self._blocks.append(self._largest)
            del self._blocks[: -self.policy.keep_blocks]
            self._block, self._largest = block, 0.0
        self._largest = max(self._largest, surprise)
        return closed

    @property
    def blocks(self) -> int:
        """Closed blocks known."""
        return len(self._blocks)

    @property
    def why_not(self) -> str:
        """Why there is no level yet; empty when there is one."""
        if self.blocks >= self.policy.least_blocks:
            return ""
        days = self.policy.block_ns / (24 * HOUR)
        return f"not enough history: {self.blocks * days:.1f} of {self.policy.least_blocks * days:.0f} days"

    def level(self, per_week: float) -> float | None:
        """The surprise that its own past passes `per_week` times a week; None: not enough history."""
        if self.why_not:
            return None
        past = sorted(self._blocks, reverse=True)
        wanted = max(per_week, 1e-9) * len(past) * self.policy.block_ns / WEEK
        fitted = min(max(8, len(past) // 10), 60, len(past) - 1)
        if wanted >= fitted:
            return past[min(math.ceil(wanted) - 1, len(past) - 1)]
        base = past[fitted]
        scale = sum(value - base for value in past[:fitted]) / fitted
        return base + scale * math.log(fitted / wanted)

    def snapshot(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "block_ns": self.policy.block_ns,
            "block": self._block,
            "largest": round(self._largest, 4),
            "blocks": [round(value, 4) for value in self._blocks],
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        """What `snapshot` gave; blocks of another length are ignored."""
        if kept.get("block_ns") != self.policy.block_ns:
            return
        self._blocks = array("f", [float(value) for value in kept.get("blocks", ())][-self.policy.keep_blocks :])
        self._block = kept.get("block")
        self._largest = float(kept.get("largest", 0.0))
