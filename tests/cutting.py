"""Work that is cut off: a forked child that is gone before its n-th operation on the disk.

Files that were being written are left as far as they had come. n counts up until the work gets through.
"""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

CUT = 99
"""Status of a process that was cut off."""
_CHANGES = frozenset({"os.rename", "os.link", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.symlink"})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Cuts:
    """Counts what is about to change the disk below `root`, and ends the process at the `at`-th; 0: never.

    With `fsyncs` it is cut before and after each fsync as well, wherever the file is.
    """

    def __init__(self, root: Path, at: int, *, fsyncs: bool = True) -> None:
        self._root = str(root)
        self._at = at
        self.count = 0
        self._plain_fsync = os.fsync
        if fsyncs:
            os.fsync = self._fsync  # fsync raises no audit event
        sys.addaudithook(self._hook)

    def _step(self) -> None:
        self.count += 1
        if self.count == self._at:
            self._gone()

    def _gone(self) -> NoReturn:
        os._exit(CUT)

    def _fsync(self, fd: Any) -> None:
        self._step()
        self._plain_fsync(fd)
        self._step()  # and right behind it

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING
        if (event in _CHANGES or writes) and str(arguments[0]).startswith(self._root):
            self._step()


def cuts(
    root: Path,
    work: Callable[[], object],
    *,
    least: int,
    fresh: Callable[[], object] = lambda: None,
    fsyncs: bool = False,
) -> Iterator[int]:
    """Each cut in turn, each after `fresh()`, until the work gets through.

    There must be `least` of them, or nothing was watched.
    """
    for number in range(1, 400):
        fresh()
        got_through = _cut_at(number, root, work, fsyncs)
        yield number
        if got_through:
            assert number >= least, "hardly anything was written: is the hook watching?"
            return
    pytest.fail("the work never got through")


def _cut_at(number: int, root: Path, work: Callable[[], object], fsyncs: bool) -> bool:
    with warnings.catch_warnings():
        # Python 3.12 minds threads that earlier tests have left: they hold nothing that the child needs.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 1
        try:
            Cuts(root, number, fsyncs=fsyncs)
            work()
            status = 0
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, CUT), f"the work itself failed with {status}"
    return status == 0
