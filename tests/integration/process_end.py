"""Whether a process has ended, without asking again and again."""

import os
import select


def ended_within(pid: int, seconds: float) -> bool:
    """Whether a process, which need not be our child, is gone or goes in time."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)
