"""The data folder: can it be written to, does what is written arrive on the medium, and is there room."""

import errno
import os
from pathlib import Path

from roost_broker.clock import MS
from roost_edge.doctor.findings import Verdict, fail, ok, skipped, together, warn
from roost_edge.doctor.patient import Patient

_PROBE_BYTES = 65_536
_SLOW_MS = 1_000
"""A card that is well needs 5 to 100 ms."""
_LEAST_FREE_BYTES = 100_000_000
_LITTLE_FREE_BYTES = 500_000_000
_LEAST_INODES = 1_000
_MB = 1_000_000


def storage(patient: Patient) -> Verdict:
    """Write a file as a role does, sync it and its folder, read it again, and remove it."""
    folder = patient.settings.layout.data
    if not folder.is_dir():
        return fail(
            f"There is no folder {folder}.",
            "Make it for the user of the roles (`roost up` does, and so does the installation), or correct node.data.",
        )
    file = folder / f".doctor.{os.getpid()}"
    data = os.urandom(_PROBE_BYTES)
    began = patient.clock.monotonic_ns()
    try:
        _written(file, data)
        took = (patient.clock.monotonic_ns() - began) / MS
        same = file.read_bytes() == data
    except OSError as error:
        return _refused(folder, error)
    finally:
        _gone(file)
    facts = {"fsyncMs": round(took, 1)}
    if not same:
        return fail(f"What was written to {folder} reads otherwise.", "The card is worn out: replace it.", **facts)
    if took > _SLOW_MS:
        remedy = "See what else writes (iotop), and replace the card if nothing does."
        return warn(f"{folder} took {took:.0f} ms to keep 64 KB.", remedy, **facts)
    return ok(f"{folder} kept 64 KB within {took:.0f} ms.", **facts)


def space(patient: Patient) -> Verdict:
    """Room and inodes on the data folder's disk, against what the settings let the roles keep."""
    folder = patient.settings.layout.data
    if not folder.is_dir():
        return skipped(f"There is no folder {folder}.", "See what the check `storage` says.")
    disk = os.statvfs(folder)
    free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    budget = _budget_bytes(patient)
    facts = {"freeMb": free // _MB, "sizeMb": size // _MB, "budgetMb": budget // _MB, "freeInodes": disk.f_favail}
    found = [ok(f"{free // _MB} MB of {size // _MB} MB are free; the budgets are {budget // _MB} MB.", **facts)]
    room = "Make room, or lower archive.budget_mb and capture.frames_budget_mb."
    if free < _LEAST_FREE_BYTES:
        found.append(fail(f"Only {free // _MB} MB are free on the disk of {folder}.", room))
    elif free < _LITTLE_FREE_BYTES:
        found.append(warn(f"Only {free // _MB} MB are free on the disk of {folder}.", room))
    if budget > size:
        problem = f"The budgets add up to {budget // _MB} MB, and the disk of {folder} has {size // _MB} MB."
        found.append(warn(problem, "Lower archive.budget_mb and capture.frames_budget_mb, or use a larger card."))
    if disk.f_files and disk.f_favail < _LEAST_INODES:
        problem = f"The disk of {folder} has room for {disk.f_favail} more files only."
        found.append(fail(problem, "Remove what has many small files, or format the card with more inodes."))
    return together(found)


def _budget_bytes(patient: Patient) -> int:
    settings = patient.settings
    total = len(settings.tasks) * settings.archive.budget_bytes
    total += sum(camera.capture.frames_budget_mb * _MB for camera in settings.cameras.values())
    return total + (settings.gateway.max_bytes if settings.gateway is not None else 0)


def _written(file: Path, data: bytes) -> None:
    with file.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    handle = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refused(folder: Path, error: OSError) -> Verdict:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return fail(
            f"The disk of {folder} is full.",
            "Make room: `du -x -d2` shows what takes it; lower archive.budget_mb and capture.frames_budget_mb.",
        )
    if error.errno == errno.EROFS:
        return fail(
            f"{folder} is on a disk that can only be read.",
            "The kernel does that to a card with errors: see `journalctl -k`, then replace the card.",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return fail(
            f"User {os.getuid()} may not write to {folder}.",
            f"Give the folder to the user of the roles: chown -R roost: {folder}.",
        )
    return fail(
        f"Writing to {folder} failed: {error.strerror}.", "See `journalctl -k`; replace the card if it repeats."
    )


def _gone(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError:
        return  # what hindered the writing hinders this too, and was told
