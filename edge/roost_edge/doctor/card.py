"""The card: what the kernel says of it. Cards die slowly, and say so first."""

import os
import re
from pathlib import Path

from roost_edge.doctor.findings import Verdict, fail, ok, together, warn
from roost_edge.doctor.patient import Patient

_REPLACE = "Save what it holds and replace the card; look at the power supply too."
_BAD_WORDS = re.compile(
    r"I/O error, dev mmcblk|mmcblk\d+: .*error|EXT4-fs error"
    r"|EXT4-fs .*(?:Remounting filesystem read-only|previous I/O error)|Buffer I/O error",
    re.IGNORECASE,
)
_ODD_WORDS = re.compile(r"mmc\d+: (?:error|Timeout|tuning execution failed)", re.IGNORECASE)
"""Of the card's controller, and of a wireless chip that sits on another one and may be absent."""
_LOG_BYTES = 4_000_000
_SHOWN = 140


def card(patient: Patient) -> Verdict:
    """Mounts that the kernel made read-only, errors that file systems counted, complaints of the kernel."""
    folder, log = patient.settings.layout.data, _kernel_log(patient)
    mount = _mount_of(patient, folder)
    where = "" if mount is None else f"{folder} is on {mount[0]} ({mount[1]}). "
    calm = "The kernel has no complaint." if log is not None else "This user may not read the kernel's log."
    found = [ok(where + calm, mount=mount[0] if mount is not None else "", log=log is not None)]
    if mount is not None:
        point, _, options = mount
        if "ro" in options.split(","):
            problem = f"{point}, where {folder} is, is mounted read-only."
            found.append(fail(problem, f"If it is not meant: the kernel found errors (journalctl -k). {_REPLACE}"))
    for counter in sorted(patient.path("/sys/fs/ext4").glob("*/errors_count")):
        count = _number(counter)
        if count:
            name = counter.parent.name
            found.append(fail(f"The file system on {name} has counted {count} errors.", f"fsck it. {_REPLACE}"))
    for wear in sorted(patient.path("/sys/block").glob("mmcblk*/device/pre_eol_info")):
        if _number(wear) >= 2:  # 1 normal, 2 warning (80 % of the spare blocks used), 3 urgent
            found.append(warn(f"{wear.parents[1].name} is nearly worn out, it says.", _REPLACE))
    for words, judge in ((_BAD_WORDS, fail), (_ODD_WORDS, warn)):
        complaints = [line for line in (log or "").splitlines() if words.search(line)]
        if complaints:
            last = complaints[-1].split(";", 1)[-1][:_SHOWN]
            found.append(judge(f"The kernel has complained {len(complaints)} times, last: {last}", _REPLACE))
    return together(found)


def _mount_of(patient: Patient, folder: Path) -> tuple[str, str, str] | None:
    """Mount point, kind and options of the file system that a folder is on."""
    whole = str(folder.resolve())
    best: tuple[str, str, str] | None = None
    for line in (patient.text("/proc/self/mounts") or "").splitlines():
        fields = line.split(" ")
        if len(fields) < 4:
            continue
        point = fields[1].replace("\\040", " ")
        inside = point == "/" or whole == point or whole.startswith(f"{point}/")
        if inside and (best is None or len(point) >= len(best[0])):
            best = (point, fields[2], fields[3])
    return best


def _kernel_log(patient: Patient) -> str | None:
    """What the kernel's ring holds, without waiting for more; None for who may not read it."""
    try:
        handle = os.open(patient.path("/dev/kmsg"), os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    parts, size = [], 0
    try:
        while size < _LOG_BYTES and (part := os.read(handle, 8192)):
            parts.append(part)
            size += len(part)
    except OSError:
        pass  # EAGAIN: that was all; EPIPE: overwritten while we read
    finally:
        os.close(handle)
    return b"".join(parts).decode(errors="replace")


def _number(file: Path) -> int:
    try:
        return int(file.read_text(encoding="ascii").strip(), 0)
    except (OSError, ValueError):
        return 0
