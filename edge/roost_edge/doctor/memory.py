"""Memory, swap, and whether the kernel has had to kill for it."""

from roost_edge.doctor.findings import Verdict, fail, ok, skipped, together, warn
from roost_edge.doctor.patient import Patient

_LITTLE_SHARE, _LEAST_SHARE = 0.10, 0.04
_GIVE_LESS = "Run fewer models or replicas, set buffer_count = 2 for the camera, or use a board with more memory."


def available_mb(patient: Patient) -> int | None:
    """Memory that could be had without swapping; None where the kernel does not tell."""
    found = _meminfo(patient).get("MemAvailable")
    return None if found is None else found // 1024


def memory(patient: Patient) -> Verdict:
    """What is left, what is swapped out, and who was killed."""
    info = _meminfo(patient)
    total, free = info.get("MemTotal", 0), info.get("MemAvailable", 0)
    if not total:
        return skipped("The kernel does not tell.")
    swapped = info.get("SwapTotal", 0) - info.get("SwapFree", 0)
    facts = {"totalMb": total // 1024, "freeMb": free // 1024, "swapUsedMb": swapped // 1024}
    sentence = f"{free // 1024} MB of {total // 1024} MB are free."
    found = [ok(sentence, **facts)]
    if free < total * _LEAST_SHARE:
        found.append(fail(f"Only {free // 1024} MB of {total // 1024} MB of memory are free.", _GIVE_LESS))
    elif free < total * _LITTLE_SHARE:
        found.append(warn(f"Only {free // 1024} MB of {total // 1024} MB of memory are free.", _GIVE_LESS))
    killed = _oom_kills(patient)
    if killed:
        problem = f"The kernel has killed {killed} processes for want of memory since it started."
        found.append(warn(problem, f"journalctl -k names them. {_GIVE_LESS}", oomKills=killed))
    if disk := _swap_on_disk(patient):
        problem = f"Swap lies on {disk}, which a card does not bear for long."
        found.append(warn(problem, "Swap into compressed memory instead: install zram-tools, remove dphys-swapfile."))
    return together(found)


def _meminfo(patient: Patient) -> dict[str, int]:
    """In kB."""
    found = {}
    for line in (patient.text("/proc/meminfo") or "").splitlines():
        name, _, rest = line.partition(":")
        number = rest.split()[:1]
        if number and number[0].isdigit():
            found[name] = int(number[0])
    return found


def _oom_kills(patient: Patient) -> int:
    for line in (patient.text("/proc/vmstat") or "").splitlines():
        name, _, number = line.partition(" ")
        if name == "oom_kill" and number.isdigit():
            return int(number)
    return 0


def _swap_on_disk(patient: Patient) -> str:
    """The first swap area that is no compressed memory, on a Pi, whose disk is a card."""
    lines = (patient.text("/proc/swaps") or "").splitlines()[1:]
    areas = [line.split()[0] for line in lines if line.split()]
    return next((area for area in areas if "zram" not in area), "") if patient.is_pi else ""
