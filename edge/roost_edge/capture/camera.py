"""A camera as its role has it: opened, looked through, opened again when it breaks, given up on when it hangs.

Blocking calls go to the camera's own thread; this is the part on the event loop, and the one place that decides what a
silence means. The chain, link by link:

1. No frame for `late_s`: the camera is *late*, and said to be so; nothing is done yet.
2. No frame for `stall_s`: its thread hangs, and nothing wakes it. `CameraFailed` ends the process, whose supervisor or
   systemd starts a fresh one.
3. It breaks instead (`CameraFailed` from a live camera): it is closed and opened again after a pause that doubles; the
   process goes on with its open requests meanwhile. After `reopen_tries` in a row without a frame the process ends:
   a library may be in a state that only a fresh process cures.
4. Where even ending failed, `stuck` says so, systemd's watchdog is not pinged and ends the process by force; a driver
   that survives that is the hardware watchdog's.

A source that is not live (a film, a folder) is never opened again: what is wrong with it stays wrong.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias, TypeVar

from roost_broker.clock import MS, SECOND, Clock
from roost_broker.worker import Worker
from roost_edge.capture.settings import CaptureSettings
from roost_edge.sources.frame import CameraFailed, FrameSource

_OPENING_S = 30.0
"""A camera may take longer to open than to deliver: a network stream, libraries from a slow card."""
_STUCK_AFTER_S = 5.0
"""A camera that should have been given up on so long ago was not: then this loop is not to be trusted either."""
_LONGEST_PAUSE_S = 60.0

Standing: TypeAlias = Literal["working", "late", "reopening"]
T = TypeVar("T")


class Told(Protocol):
    """Who is told when the camera's standing changes."""

    def __call__(self, standing: Standing, detail: str) -> None:
        """`detail` is a sentence for people."""
        ...


class Hangs(CameraFailed):
    """Its thread is lost: opening again would wait for the same lock."""


class Camera:
    """See the module. Everything but `stuck` is for one task of the event loop."""

    def __init__(
        self,
        source: FrameSource,
        thread: Worker,
        settings: CaptureSettings,
        *,
        clock: Clock,
        counts: Counter[str],
        told: Told,
    ) -> None:
        self.source = source
        self._thread = thread
        self._settings = settings
        self._clock = clock
        self._counts = counts
        self._told = told
        self._standing: Standing | None = None
        self._due_ns: int | None = None
        """When the camera is given up on; None while nobody waits for it."""

    def stuck(self) -> str:
        """For the watchdog: why this process should have ended of its camera; empty while all is well."""
        due = self._due_ns
        if due is None or self._clock.monotonic_ns() < due + int(_STUCK_AFTER_S * SECOND):
            return ""
        return f"{self.source.describe()} hangs, and this process did not end of it."

    async def open(self) -> None:
        """Open it. Raises `Misuse`, and `CameraFailed` when it does not open."""
        opening = self._thread.call(self.source.open)
        await self._bounded(opening, max(_OPENING_S, self._settings.stall_s))
        self._stands("working")

    async def look(self, read: Callable[[], T]) -> T:
        """What `read` says, called on the camera's thread; the camera is opened again when that raises `CameraFailed`.

        Raises `CameraFailed` when it hangs, or cannot be mended by opening it again.
        """
        tries = 0
        while True:
            try:
                if tries:
                    await self.open()
                found = await self._bounded(self._thread.call(read), self._settings.stall_s)
            except Hangs:
                raise
            except CameraFailed as error:
                tries += 1
                if not self.source.live or tries > self._settings.reopen_tries:
                    raise
                await self._pause(tries, error)
            else:
                self._stands("working")
                return found

    async def _pause(self, tries: int, error: CameraFailed) -> None:
        await self._bounded(self._thread.call(self.source.close), self._settings.stall_s)
        pause_s = min(_LONGEST_PAUSE_S, self._settings.reopen_ms * MS / SECOND * 2 ** (tries - 1))
        self._counts["reopened"] += 1
        self._stands("reopening", f"{error.problem} It is opened again in {pause_s:g} s. {error.remedy}".rstrip())
        await asyncio.sleep(pause_s)

    async def _bounded(self, work: "asyncio.Future[T]", seconds: float) -> T:
        self._due_ns = self._clock.monotonic_ns() + int(seconds * SECOND)
        early = min(self._settings.late_s, seconds)
        await asyncio.wait({work}, timeout=early)
        if not work.done():
            if self._standing == "working":
                self._counts["late"] += 1
                words = f"{self.source.describe()} has delivered nothing for {early:g} s."
                self._stands("late", f"{words} It is given up on after {seconds:g} s.")
            await asyncio.wait({work}, timeout=seconds - early)
        if not work.done():  # its thread may hang for ever, and is left behind
            raise Hangs(
                f"{self.source.describe()} has delivered nothing for {seconds:g} s.",
                "The process is restarted; if this repeats, check power, cable or network of the camera.",
            )
        self._due_ns = None
        return work.result()

    def _stands(self, standing: Standing, detail: str = "") -> None:
        if standing != self._standing or standing == "reopening":
            self._standing = standing
            self._told(standing, detail or self.source.describe())
