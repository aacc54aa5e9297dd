"""A bounded sample of a stream in which every value so far has the same chance to be (Vitter's algorithm R).

The draws come from a counter and a seed, not from a generator with a state of its own: a restart continues exactly.
"""

from collections.abc import MutableSequence
from typing import Generic, TypeVar

_MASK = (1 << 64) - 1

T = TypeVar("T")


def draw(seed: int, count: int, below: int) -> int:
    """A whole number from 0 to `below` - 1, the same for the same seed and count (SplitMix64's mixing)."""
    mixed = (seed * 0x9E3779B97F4A7C15 + count * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return (mixed ^ (mixed >> 31)) % below


class Reservoir(Generic[T]):
    """At most `size` values, in no order that matters."""

    def __init__(self, size: int, seed: int = 0, values: MutableSequence[T] | None = None) -> None:
        if size < 1:
            raise ValueError(f"a sample of {size} values holds nothing")
        self.size = size
        self.seed = seed
        self.seen = 0
        self.values: MutableSequence[T] = [] if values is None else values

    def add(self, value: T) -> None:
        """One value of the stream."""
        self.seen += 1
        if len(self.values) < self.size:
            self.values.append(value)
            return
        place = draw(self.seed, self.seen, self.seen)
        if place < self.size:
            self.values[place] = value

    def restore(self, seen: int, values: list[T]) -> None:
        """Continue from what a snapshot held."""
        if seen < len(values) or len(values) > self.size:
            raise ValueError(f"{len(values)} values of {seen} in a sample of {self.size}")
        self.seen = seen
        del self.values[:]
        self.values.extend(values)
