"""Memory that is not given back is memory that the device has not got: how glibc's allocator is to behave here.

Its defaults suit programs with many threads on large machines. Here they cost megabytes: an arena for each thread, and
after the first picture that is freed, pictures on the heap, where one small object above them keeps them. Libraries
that compute get one thread: their pools cost memory, and roles run beside each other anyway.
"""

import ctypes
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # mallopt(3)
_ARENAS = 2
_LARGE = 256 * 1024
"""Blocks from this size on are mapped by themselves and go back when they are freed. In bytes."""
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")


def be_frugal() -> None:
    """Call it before anything heavy is imported and any thread begins. Without glibc nothing changes."""
    for name in _THREADS:
        os.environ.setdefault(name, "1")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform.startswith("linux") else None
    if mallopt is not None:
        for option, value in ((_M_ARENA_MAX, _ARENAS), (_M_MMAP_THRESHOLD, _LARGE), (_M_TRIM_THRESHOLD, _LARGE)):
            mallopt(option, value)
