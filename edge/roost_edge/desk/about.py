"""What the device is, for the verb `info`: names and versions, nothing that is secret or changes by the second."""

import os
import platform
import sys
from pathlib import Path
from typing import Any

from roost_broker.clock import MS, Clock, boot_id
from roost_broker.version import VERSION
from roost_edge.settings.device import Settings


def about(settings: Settings, clock: Clock, *, root: Path = Path("/")) -> dict[str, Any]:
    """Plain values."""
    return {
        "node": settings.node.name,
        "version": VERSION,
        "timestamp": clock.wall_ns() // MS,
        "upMs": clock.monotonic_ns() // MS,
        "boot": boot_id(),
        "tasks": {
            name: {model: Path(section.bundle).name for model, section in task.models.items()}
            for name, task in settings.tasks.items()
        },
        "cameras": {name: {"task": camera.task, "source": camera.source} for name, camera in settings.cameras.items()},
        "system": {
            "board": _text(root / "proc/device-tree/model"),
            "os": _pretty_name(root / "etc/os-release"),
            "kernel": platform.release(),
            "machine": platform.machine(),
            "python": ".".join(map(str, sys.version_info[:3])),
            "cpus": str(os.cpu_count() or 0),
        },
    }


def _pretty_name(file: Path) -> str:
    for line in _text(file).splitlines():
        name, _, value = line.partition("=")
        if name == "PRETTY_NAME":
            return value.strip('"')
    return ""


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""
