"""The stages of a build: what is being done, how long each took."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Tell = Callable[[str], None]


@dataclass(slots=True)
class Stages:
    """Runs stages one after the other and remembers their seconds, in order."""

    names: tuple[str, ...]
    tell: Tell
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, *, what: str) -> Iterator[Tell]:
        """One stage; yields what tells of its progress. A stage that fails has no time."""
        number = f"{self.names.index(name) + 1}/{len(self.names)}"
        self.tell(f"[{number}] {name}: {what}")
        began = time.monotonic()
        yield lambda text: self.tell(f"      {time.monotonic() - began:6.1f} s  {text}")
        self.seconds[name] = round(time.monotonic() - began, 1)
        self.tell(f"[{number}] {name}: done in {self.seconds[name]:.1f} s")
