"""Real processes whose clock is stepped while they run: libfaketime, which reads from a file how far off it is.

Whoever is started in `environment` sees the machine's time and so many seconds more; each reading looks into the file,
so a step is seen by all of them at once. The machine's own clock is left alone, and so is the test's: it is the one
that knows how late it is.

libfaketime is no part of Roost, and of the tests only these need it: Debian's package `libfaketime`.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

DAY_S = 86_400
_NAME = "faketime/libfaketimeMT.so.1"
_LOOK = "import time; print(time.time_ns(), time.monotonic_ns())"


def _library() -> Path | None:
    folders = (Path("/usr/lib"), *Path("/usr/lib").glob("*-linux-gnu"), Path("/usr/local/lib"), Path("/usr/lib64"))
    return next((found for folder in folders if (found := folder / _NAME).is_file()), None)


class SteppedClock:
    """`both`: the steady clock is stepped too, as if the time had passed; else the wall clock alone, as by a step.

    With `both` the steady clock counts from 1970 (libfaketime has it so): these processes agree on it among themselves,
    and not with others, such as the test.
    """

    def __init__(self, folder: Path, *, both: bool = False) -> None:
        library = _library()
        if library is None:
            pytest.skip("Needs libfaketime (Debian: apt-get install libfaketime) to step the clock of real processes.")
        self._file = folder / "clock-offset"
        self.environment: Mapping[str, str] = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "0" if both else "1",
            "NO_FAKE_STAT": "1",  # the times of files are the medium's
        }
        self.offset_s = 0
        self.step_to(0)
        self._check(both)

    def step_to(self, offset_s: int) -> None:
        """From now on their clock is the machine's and so many seconds more (or less)."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{offset_s:+d}s\n", encoding="ascii")
        fresh.replace(self._file)  # whole, whoever reads at this moment
        self.offset_s = offset_s

    @contextmanager
    def for_children(self) -> Iterator["SteppedClock"]:
        """Whoever is started meanwhile lives by this clock."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            yield self

    def shown_by(self, at_ms: int) -> bool:
        """Whether a moment that somebody told was read off this clock as it stands now."""
        return abs(at_ms / 1000 - time.time() - self.offset_s) < DAY_S / 4

    def _check(self, both: bool) -> None:
        """A library that does nothing, or more than it should, would make every test here green."""
        wall, steady = self._looked()
        self.step_to(DAY_S)
        later_wall, later_steady = self._looked()
        assert abs(wall - time.time()) < 600
        assert abs(later_wall - wall - DAY_S) < 600
        assert abs(later_steady - steady - (DAY_S if both else 0)) < 600
        self.step_to(0)

    def _looked(self) -> tuple[float, float]:
        """Both clocks of a process that lives by this one, in seconds."""
        environment = {**os.environ, **self.environment}
        said = subprocess.run(
            [sys.executable, "-c", _LOOK], env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        wall, steady = (int(word) / 1e9 for word in said.stdout.split())
        return wall, steady
