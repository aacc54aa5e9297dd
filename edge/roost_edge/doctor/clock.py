"""The clock: a Pi has none of its own, and certificates, schedules and records live by it."""

import ctypes
import time
from collections.abc import Iterator
from pathlib import Path

from roost_broker.clock import MS, SECOND, looks_synced
from roost_broker.errors import RoostError
from roost_edge.doctor.findings import Verdict, fail, ok, together, warn
from roost_edge.doctor.patient import Patient

_SLACK_NS = 300 * SECOND
"""Clocks of one device and its files may differ by so much."""
_UNSYNCED = 0x40  # STA_UNSYNC of adjtimex(2)
_MAX_ERROR_US = 1_000_000
_SET = "Let it reach a time server: timedatectl set-ntp true, and port 123 open; or set it by hand (date -s)."


def clock(patient: Patient) -> Verdict:
    """Is it set, is it plausible, is it kept right."""
    now = patient.clock.wall_ns()
    newest, whence = newest_of(patient)
    synchronised = _synchronised(patient)
    return judge(now, newest, whence, synchronised=synchronised, error_us=_max_error_us() if synchronised else None)


def judge(now: int, newest: int, whence: str, *, synchronised: bool | None, error_us: int | None = None) -> Verdict:
    """Pure. Wall clock in ns; `newest` is the newest moment that something on the device speaks of."""
    facts = {"timestamp": now // MS, "synchronised": synchronised, "maxErrorUs": error_us}
    said = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now // SECOND))
    found = [ok(f"It is {said}{', kept right by a time server' if synchronised else ''}.", **facts)]
    if not looks_synced(now):
        found.append(fail(f"The clock says {said}: it has not been set since power-on.", _SET))
    elif newest > now + _SLACK_NS:
        hours = (newest - now) / (3600 * SECOND)
        found.append(fail(f"The clock says {said}, and {whence} is from {hours:.1f} hours later.", _SET))
    if synchronised is False:
        found.append(warn(f"No time server keeps the clock right; it says {said}.", _SET))
    elif error_us is not None and error_us > _MAX_ERROR_US:
        problem = f"The clock may be wrong by {error_us / 1_000_000:.1f} s."
        found.append(warn(problem, "Its time server was not reached for long: timedatectl timesync-status."))
    return together(found)


def newest_of(patient: Patient) -> tuple[int, str]:
    """The newest moment that a file of the device, its certificate or a role speaks of, and what that is."""
    newest, whence = 0, ""
    for file in _files(patient):
        try:
            at = file.stat().st_mtime_ns
        except OSError:
            continue
        if at > newest:
            newest, whence = at, str(file)
    try:
        said = patient.seen().newest_ms * MS
    except RoostError:
        said = 0
    return (said, "what a role said last") if said > newest else (newest, whence)


def _files(patient: Patient) -> Iterator[Path]:
    layout = patient.settings.layout
    if patient.file is not None:
        yield patient.file
    yield patient.path("/etc/fake-hwclock.data")
    yield patient.path("/var/lib/systemd/timesync/clock")
    yield layout.data / "identity" / "device.pem"
    yield from (layout.outbox, layout.traces, layout.gateway)
    for name in patient.settings.cameras:
        yield layout.requests(name)
        yield layout.session(f"capture-{name}")


def _synchronised(patient: Patient) -> bool | None:
    """Whether something keeps the clock right; None where nobody can tell."""
    if patient.path("/run/systemd/timesync/synchronized").exists():
        return True
    state = _adjtimex()
    return None if state is None else not state[0] & _UNSYNCED


def _max_error_us() -> int | None:
    state = _adjtimex()
    return None if state is None else state[1]


class _Timex(ctypes.Structure):
    """The beginning of `struct timex` (adjtimex(2)), with room for the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def _adjtimex() -> tuple[int, int] | None:
    """Status bits and largest error in µs, as the kernel knows them; asking changes nothing."""
    try:
        state = _Timex()
        if ctypes.CDLL(None).adjtimex(ctypes.byref(state)) < 0:
            return None
    except (OSError, AttributeError):
        return None
    return int(state.status), int(state.maxerror)
