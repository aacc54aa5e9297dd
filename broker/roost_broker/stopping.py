"""Being told to stop by the operating system: Ctrl-C, and what systemd sends."""

import asyncio
import signal


def told_to_stop(seconds: float = 0) -> asyncio.Event:
    """An event that SIGINT and SIGTERM set from now on, and the end of so many seconds (0: no end).

    Call it in the running loop of the main thread. Without it they would end the process where it stands.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if seconds:
        loop.call_later(seconds, stop.set)
    return stop
