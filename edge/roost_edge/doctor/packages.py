"""What the settings need of this Python: each part asks for packages of its own."""

import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterator

from roost_edge.doctor.findings import Verdict, fail, ok
from roost_edge.doctor.patient import Patient
from roost_edge.settings.device import Settings

_DEVICE, _WEB = "roost[edge]", "roost[web]"
_OLDEST = (3, 11)


def packages(patient: Patient) -> Verdict:
    """Every package that a role of the settings imports when it starts. Bundles are compared by their own check."""
    python = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < _OLDEST:
        return fail(f"This is Python {python}.", "Roost needs 3.11 or later.")
    missing: dict[str, str] = {}
    for module, extra in needed(patient.settings):
        if not _there(module):
            missing[module] = extra
    if missing:
        extras = ", ".join(dict.fromkeys(missing.values()))
        problem = f"Python {python} lacks {', '.join(missing)}, which the settings need."
        return fail(problem, f"Install: {extras}. On Debian picamera2 is python3-picamera2.", missing=len(missing))
    facts = {name: found for name in ("msgspec", "paho-mqtt", "numpy") if (found := _version(name))}
    return ok(f"Python {python} has all that the settings need.", python=python, **facts)


def needed(settings: Settings) -> Iterator[tuple[str, str]]:
    """Modules, and what to install for each."""
    if settings.cameras or any(task.models for task in settings.tasks.values()):
        yield from (("numpy", _DEVICE), ("PIL", _DEVICE))
    sources = {camera.source for camera in settings.cameras.values()}
    if sources & {"opencv", "video"}:
        yield "cv2", _DEVICE
    if "picamera" in sources:
        yield "picamera2", "python3-picamera2"
    if settings.gateway is not None:
        yield "nats", _DEVICE
    if settings.ota is not None:
        yield from (("tuf", _DEVICE), ("cryptography", _DEVICE))
    if settings.proxy is not None or settings.page is not None:
        yield "aiohttp", _WEB


def _there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
