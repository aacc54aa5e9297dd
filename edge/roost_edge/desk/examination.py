"""One examination as a child process: what it needs in memory is given back, and what hangs it costs it alone.

There is an answer in bounded time. When the time is over, the child reports what it has; when not even that comes, it
is ended, and the answer says so.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from roost_broker.cancellation import within
from roost_broker.clock import SECOND, Clock
from roost_broker.errors import PeerError
from roost_edge.settings.device import Settings

_MESSAGE_BYTES = 80_000
"""A report that is larger leaves its figures out."""
_SHORT = 200
_MOST = 150
_LAST_WORDS = 300
_END_S = 5.0
GRACE_S = 30.0
"""For a child that has used all its time: to begin, on a slow board that is busy, and to say what it has."""


class Examiner:
    """`examine` may be called again and again; each call is a process."""

    def __init__(
        self, settings: Settings, *, user: str, timeout_s: float, clock: Clock, grace_s: float = GRACE_S
    ) -> None:
        self._settings = msgspec.json.encode(settings)
        self._user = user
        self._timeout_s = timeout_s
        self._clock = clock
        self._grace_s = grace_s

    async def examine(self, only: Sequence[str]) -> dict[str, Any]:
        """The report as plain values, small enough for a message. Raises `PeerError` when there is none."""
        names = [word for name in only for word in ("--only", name)]
        # Not through `setpriv`: in a unit that has no privileges it may not even give them up.
        command = [sys.executable, "-P", "-m", "roost_edge.doctor", "--die-with", str(os.getpid())]
        end = self._clock.monotonic_ns() + int(self._timeout_s * SECOND)  # one clock for all processes of a machine
        process = await asyncio.create_subprocess_exec(
            *(*command, "--end", str(end), "--settings", "-", "--as", self._user, "--json", *names),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # a camera that hangs, and the process that tried it, end with it
        )
        try:
            async with asyncio.timeout(self._timeout_s + self._grace_s):
                said, words = await process.communicate(self._settings)
        except TimeoutError:
            raise PeerError(
                f"The examination did not end within {self._timeout_s + self._grace_s:g} s.",
                "Run `roost doctor` on the device; raise desk.doctor_timeout_s if it is only slow.",
            ) from None
        finally:
            # Also when it has ended: a trial or a camera that it left behind has no business any more.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with contextlib.suppress(TimeoutError):  # one that is held by a driver ends when the driver lets go
                await within(process.wait(), _END_S)
        try:
            return fitted(msgspec.json.decode(said, type=dict[str, Any]))
        except msgspec.DecodeError:
            last = words.decode(errors="replace").strip()[-_LAST_WORDS:] or "it said nothing"
            remedy = "Run `roost doctor` on the device."
            raise PeerError(f"The examination gave no report: {last}.", remedy) from None


def fitted(report: dict[str, Any]) -> dict[str, Any]:
    """The report, without figures and with shortened sentences where it would not fit into a message. Pure."""
    if len(msgspec.json.encode(report)) <= _MESSAGE_BYTES:
        return report
    checks = [
        {**check, "facts": {}, "found": str(check["found"])[:_SHORT], "remedy": str(check.get("remedy", ""))[:_SHORT]}
        for check in report["checks"]
    ]
    if len(msgspec.json.encode(checks)) > _MESSAGE_BYTES:  # some hundred cameras: what is well goes first
        checks = [check for check in checks if check["status"] in ("fail", "warn")][:_MOST]
    return {**report, "checks": checks}
