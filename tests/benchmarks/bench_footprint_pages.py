"""Memory that several processes take together, each page counted once, whoever else has it.

PSS divides a page by all who have it, those outside the kit too: on a busy machine it is too small. The kernel tells
which pages a process has (/proc/PID/pagemap), and to root alone which of them are the same.
"""

from collections.abc import Iterable
from pathlib import Path

_PAGE = 4096
_ENTRY = 8
_PRESENT = 1 << 63
_FRAME = (1 << 55) - 1


def together_mb(pids: Iterable[int]) -> float | None:
    """In MB (10^6 bytes); None where the kernel does not say which pages are the same."""
    frames: set[int] = set()
    for pid in pids:
        frames |= _frames(pid)
    return round(len(frames) * _PAGE / 1e6, 1) if len(frames) > 1 else None


def _frames(pid: int) -> set[int]:
    """Numbers of the page frames that a process has; all are 0 for whoever may not know them."""
    found: set[int] = set()
    try:
        process = Path(f"/proc/{pid}")
        with (process / "maps").open(encoding="utf-8") as maps, (process / "pagemap").open("rb", 0) as pages:
            for line in maps:
                if "[v" in line:  # the kernel's own: vdso, vvar, vsyscall
                    continue
                first, last = (int(part, 16) // _PAGE for part in line.split(maxsplit=1)[0].split("-"))
                pages.seek(first * _ENTRY)
                entries = memoryview(pages.read((last - first) * _ENTRY)).cast("Q")
                found |= {entry & _FRAME for entry in entries if entry & _PRESENT}
    except PermissionError:
        pass
    return found
