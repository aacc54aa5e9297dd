"""How a story is told: steps with their seconds, figures, and what was not as it should be, into one report."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from roost_provisioning.boot_test.report import Report, Step

Say = Callable[[str], None]


class Telling:
    """Fills `report`; `say` gets a line for each thing as it happens."""

    def __init__(self, report: Report, say: Say) -> None:
        self.report = report
        self.say = say

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """Say what begins, and what it came to. The body is given whom to tell what it found."""
        self.say(f"── {name}")
        told: list[str] = []
        begun = time.monotonic()
        yield told.append
        step = Step(name=name, seconds=round(time.monotonic() - begun, 1), found=" ".join(told))
        self.report.steps.append(step)
        self.say(f"   {step.seconds:.1f} s  {step.found}")

    def expect(self, good: bool, otherwise: str) -> None:
        """The story goes on when something is not so; it is told, and the report is not well."""
        if not good:
            self.say(f"  NOT SO: {otherwise}")
            self.report.problems.append(otherwise)

    def figure(self, name: str, value: float) -> None:
        """Something measured, of an emulator; the second time it is `NAME_again`."""
        name = f"{name}_again" if name in self.report.figures else name
        self.report.figures[name] = round(value, 1)
