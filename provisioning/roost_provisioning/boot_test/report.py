"""What a boot test came to: steps with their seconds, figures, and what was not as it should be. Pure."""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct, field


class Step(Struct, frozen=True, kw_only=True):
    """One step of the story that came to its end."""

    name: str
    seconds: float
    found: str = ""


class Report(Struct, kw_only=True):
    """Filled while the story is played. `figures` are of an emulator: slower than a Pi, and no measure of one."""

    image: str = ""
    machine: str = ""
    steps: list[Step] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    command_line_changes: list[str] = field(default_factory=list)
    """How the kernel's command line differs from the card's cmdline.txt, and why no more could be shown."""
    problems: list[str] = field(default_factory=list)
    done: bool = False
    """The story came to its end."""

    @property
    def ok(self) -> bool:
        """Whether everything came as it should."""
        return self.done and not self.problems

    def as_data(self) -> dict[str, Any]:
        """For `--json`."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return {"ok": self.ok, "emulated": True, **data}

    def lines(self) -> Iterator[str]:
        """For a person."""
        for step in self.steps:
            yield f"  {step.seconds:7.1f} s  {step.name}" + (f": {step.found}" if step.found else "")
        yield ""
        for name, value in self.figures.items():
            yield f"  {name.replace('_', ' ')}: {value:g} (emulated)"
        for problem in self.problems:
            yield f"  NOT SO: {problem}"
        if self.ok:
            yield f"Everything came as it should, on {self.machine}."
        elif not self.problems:
            yield "The story did not come to its end."
