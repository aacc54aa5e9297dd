"""Faults on purpose: what a component can be told to suffer, where the settings say QA.

    slow:MS   it takes so much longer
    hang      the work never ends (models alone)
    error     the work fails
    wrong     what it says does not decode
    drop      it says nothing at all

What each means for each component stands in `docs/diagnostics.md`. A product feature: the demo, the fault matrix and
a request's `diagnostics.faults` use it. Elsewhere it is refused.
"""

import threading
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast, get_args

from roost_broker.errors import Misuse

Kind: TypeAlias = Literal["slow", "hang", "error", "wrong", "drop"]
MAX_SLOW_MS = 600_000
RUBBISH = b"\xff\x00 this is no message"
"""What `wrong` says instead."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `delay_ms` belongs to `slow` alone."""

    kind: Kind
    delay_ms: int = 0

    def __post_init__(self) -> None:
        if (self.kind == "slow") != (self.delay_ms > 0) or not 0 <= self.delay_ms <= MAX_SLOW_MS:
            raise Misuse(
                f"A fault {self.kind} with {self.delay_ms} ms makes no sense.", f"Only slow:1 to slow:{MAX_SLOW_MS}."
            )

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Read `slow:5000`, `hang`, … Raises `Misuse`."""
        kind, _, number = text.partition(":")
        if kind not in get_args(Kind) or (number and not (number.isascii() and number.isdigit())):
            raise Misuse(f"{text!r} is not a fault.", f"Use slow:MS, {', '.join(get_args(Kind)[1:])}.")
        if len(number) > len(str(MAX_SLOW_MS)):
            raise Misuse(f"A fault of {number[:20]}… ms is out of bounds.", f"Only slow:1 to slow:{MAX_SLOW_MS}.")
        return cls(cast("Kind", kind), int(number or 0))

    def __str__(self) -> str:
        return f"{self.kind}:{self.delay_ms}" if self.delay_ms else self.kind

    def before_evaluation(self, stop: threading.Event) -> None:
        """Suffer, in the thread that computes. Ends early when `stop` is set. Raises `InjectedFault`."""
        if self.kind == "slow":
            stop.wait(self.delay_ms / 1000)
        elif self.kind == "hang":
            stop.wait()
        elif self.kind == "error":
            raise InjectedFault("An error injected on purpose.")


class InjectedFault(Exception):
    """What the fault `error` raises."""
