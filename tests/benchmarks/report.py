"""What every benchmark gives back, and how it is shown."""

import os
import platform
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Say = Callable[[str], None]
"""Progress, for people: it goes to stderr."""


@dataclass
class Goal:
    """One figure that was aimed for. `measured` is None when it could not be measured; then nothing is claimed."""

    id: str
    goal: str
    unit: str
    measured: float | None
    met: bool | None


@dataclass
class Outcome:
    """What a benchmark found. `lines` is the table for people."""

    goals: list[Goal] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)


def at_most(goal_id: str, goal: str, unit: str, measured: float | None, limit: float) -> Goal:
    """A goal that is met by a figure not above `limit`."""
    return Goal(goal_id, goal, unit, measured, None if measured is None else measured <= limit)


def at_least(goal_id: str, goal: str, unit: str, measured: float | None, limit: float) -> Goal:
    """A goal that is met by a figure not below `limit`."""
    return Goal(goal_id, goal, unit, measured, None if measured is None else measured >= limit)


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest-rank percentile of at least one value."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def pss_mb(pid: int) -> float | None:
    """Proportional set size of a process in MB (10^6 bytes), or None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return round(int(line.split()[1]) * 1024 / 1e6, 1)
    return None


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    except OSError:
        pass
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "mosquitto": _mosquitto_version(),
    }


def _mosquitto_version() -> str:
    from roost_broker.errors import RoostError
    from roost_broker.mosquitto import find_mosquitto

    try:
        shown = subprocess.run([find_mosquitto(), "-h"], capture_output=True, text=True, timeout=5, check=False)
    except (RoostError, OSError, subprocess.TimeoutExpired):
        return "unknown"
    words = shown.stdout.split()
    return words[2] if len(words) > 2 else "unknown"
