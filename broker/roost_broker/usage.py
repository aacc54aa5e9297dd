"""What this process costs its device, for its state message (promise L11)."""

import time
from contextvars import ContextVar
from pathlib import Path

from roost_broker.clock import MS
from roost_broker.messages import Usage

_ROLLUP = Path("/proc/self/smaps_rollup")
_STATM = Path("/proc/self/statm")
_PAGE = 4096

SHARED_BY: ContextVar[int] = ContextVar("SHARED_BY", default=1)
"""How many roles this process runs. Each tells an even share, so that the sum over a device's roles is right."""


def usage() -> Usage:
    """Processor time since the process began, and its memory as it is now. About a millisecond."""
    roles = SHARED_BY.get()
    memory = _proportional() or _resident()
    return Usage(cpu_ms=time.process_time_ns() // MS // roles, memory_bytes=memory // roles)


def _proportional() -> int:
    """Its own pages and its share of those that it shares with others (PSS); 0 where the kernel does not tell."""
    try:
        for line in _ROLLUP.read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return 0


def _resident() -> int:
    try:
        return int(_STATM.read_text(encoding="ascii").split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0
