"""The ways in which a person ends the demo: Ctrl-C, SIGTERM, and closing the terminal (SIGHUP)."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


def heard_by(loop: asyncio.AbstractEventLoop, interrupt: Callable[[], None]) -> None:
    """Have `loop` call `interrupt` for each of them. What is said after the terminal has gone goes nowhere."""
    terminals = _terminals()

    def hang_up() -> None:
        _silence(terminals)
        interrupt()

    for number in _signals():
        loop.add_signal_handler(number, hang_up if number == signal.SIGHUP else interrupt)


@contextmanager
def raised() -> Iterator[None]:
    """Have each of them raise KeyboardInterrupt in the body, so that what is open is closed. Main thread only."""
    terminals = _terminals()

    def interrupt(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            _silence(terminals)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _signals() -> list[signal.Signals]:
    """Under nohup SIGHUP is ignored, and stays so."""
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([] if ignored else [signal.SIGHUP])]


def _terminals() -> list[int]:
    """Asked beforehand: of a terminal that has gone the kernel says that it is none."""
    return [stream.fileno() for stream in (sys.stdout, sys.stderr) if stream.isatty()]


def _silence(terminals: list[int]) -> None:
    """Writing to a terminal that has gone is an error, and would end the demo in the middle of its ending."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in terminals:
        os.dup2(nowhere, number)
    os.close(nowhere)
