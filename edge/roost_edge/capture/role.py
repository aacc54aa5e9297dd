"""The role capture: watches one camera, asks about what moves, and asks until it is archived and answered.

Two threads do what blocks: one reads the camera and judges motion, one writes frames and the request log. The event
loop publishes and listens. Deciding is done by pure cores: `trigger` (which frame), `redelivery` (published when).

1. Accepted means in the request log; only then is a request published.
2. Results and receipts are acknowledged to the broker after they are committed to the log.
3. A camera that delivers nothing for `stall_s`, a full disk or a broken log end the role with an error: it dies loudly
   and its supervisor starts it again; it then goes on with the requests left open.
4. When capturing is finished (end of film, `max_requests`, `max_seconds`) nothing more is accepted; the role goes on
   until what is open is closed and it is told to stop. Its state says `finished`.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from roost_broker.bus import Bus
from roost_broker.clock import MS, SECOND, Clock
from roost_broker.errors import QueueFull
from roost_broker.frames import FrameStore
from roost_broker.headers import new_header
from roost_broker.ids import new_id
from roost_broker.messages import Motion, encode
from roost_broker.presence import RolePresence
from roost_broker.topics import CameraTopics, TaskTopics
from roost_broker.tracing import Tracer
from roost_broker.worker import Worker
from roost_edge.capture import trigger
from roost_edge.capture.asking import Asked, Asking
from roost_edge.capture.pursuit import Pursuit
from roost_edge.capture.request_log import RequestLog
from roost_edge.capture.settings import CaptureSettings
from roost_edge.motion.detector import MotionDetector, MotionVerdict
from roost_edge.sources.frame import CameraFailed, Frame, FrameSource

_OPENING_S = 30.0
"""A camera may take longer to open than to deliver: a network stream, libraries from a slow card."""
_LAST_WRITES_S = 5.0
_STUCK_AFTER_S = 5.0
"""A camera that should have been given up on so long ago was not: then this loop is not to be trusted either."""
_A_PICTURE = MotionVerdict(moving=True, area=1.0, box=None, reason="motion")
"""Of sources that deliver pictures, not film: each is an event."""

T = TypeVar("T")


class Capture:
    """Construct, then `run`. `bus` is not started yet; `log` is closed by whoever made it, after `run`.

    Requests return to `topics.results(<camera>)`. `role` names the retained state (`roles/<role>`). `forwarded`: this
    device's gateway gives receipts, and requests are asked again until theirs has come.
    """

    def __init__(
        self,
        bus: Bus,
        topics: TaskTopics,
        camera: CameraTopics,
        source: FrameSource,
        motion: MotionDetector,
        log: RequestLog,
        frames: FrameStore,
        *,
        clock: Clock,
        node: str,
        session: int,
        settings: CaptureSettings | None = None,
        role: str = "capture",
        tracer: Tracer | None = None,
        forwarded: bool = False,
    ) -> None:
        self._settings = settings or CaptureSettings()
        self._bus = bus
        self._camera = camera
        self._source = source
        self._motion = motion
        self._clock = clock
        self._node = node
        self._role = role
        self.counts: Counter[str] = Counter()
        """Since the process started: accepted, answered, receipts, republished, skipped-…, …"""
        if tracer is not None:
            tracer.counts = self.counts
        self._presence = RolePresence(bus, topics.device, role, session=session, clock=clock, counts=self._state_counts)
        self._camera_thread = Worker(f"camera {camera.camera}")
        self._disk_thread = Worker(f"disk {camera.camera}")
        self._asking = Asking(
            *(topics, camera, log, frames),
            clock=clock,
            node=node,
            role=role,
            settings=self._settings,
            tracer=tracer,
            forwarded=forwarded,
        )
        self._pursuit = Pursuit(
            *(bus, topics, camera.camera, self._asking, self._disk_thread),
            clock=clock,
            reader=role,
            settings=self._settings,
            counts=self.counts,
            failed=self._failed,
            tracer=tracer,
            forwarded=forwarded,
        )
        self._trigger = trigger.Trigger(self._settings)
        self._event_id = ""
        self._motion_told = b""
        bus.on_connection(self._on_connection)
        self._last_accepted_ns: int | None = None
        self._finished = ""
        self._camera_due_ns: int | None = None
        """When the camera is given up on; None while nobody waits for it."""
        self._fatal: asyncio.Future[None] | None = None

    def stuck(self) -> str:
        """For the watchdog: rule 3 ends a role whose camera hangs; where even that failed, systemd does."""
        due = self._camera_due_ns
        if due is None or self._clock.monotonic_ns() < due + int(_STUCK_AFTER_S * SECOND):
            return ""
        return f"{self._source.describe()} hangs, and this process did not end of it."

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; raises what ended the role before (a camera that failed, a disk that is full)."""
        self._fatal = asyncio.get_running_loop().create_future()
        self._presence.starting()
        tasks = [
            asyncio.create_task(coroutine, name=name)
            for name, coroutine in (
                ("stop", stop.wait()),
                ("broker", self._bus.start()),
                ("camera", self._watch()),
                ("redelivery", self._pursuit.run()),
                ("state", self._report()),
            )
        ]
        try:
            try:
                await self._first_end(tasks)
            finally:
                await self._wind_up(tasks)
        except Exception as error:
            self._presence.failed(str(error))
            raise
        else:
            self._presence.stopped(self._finished)
        finally:
            await self._bus.stop()

    async def _first_end(self, tasks: "Sequence[asyncio.Task[object]]") -> None:
        """Return when told to stop; raise what any task raised. Being connected or finished is no end."""
        assert self._fatal is not None  # noqa: S101 - made by run, for the type checker
        waiting: set[asyncio.Future[object]] = {*tasks, self._fatal}  # type: ignore[arg-type]  # None is an object
        while not tasks[0].done():
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for ended in done:
                ended.result()

    async def _wind_up(self, tasks: "Sequence[asyncio.Task[object]]") -> None:
        self._source.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # What was accepted is still published, and what was committed acknowledged; but a dead card must not hold us.
        await asyncio.wait({self._disk_thread.call(lambda: None)}, timeout=_LAST_WRITES_S)
        self._disk_thread.stop()
        self._camera_thread.stop()
        if self._fatal is not None and not self._fatal.cancel() and not self._fatal.cancelled():
            self._fatal.exception()  # raised already; read here, or asyncio complains that nobody did
        self._tell_motion(on=False)

    # The camera

    async def _watch(self) -> None:
        await self._pursuit.resume()
        opening = self._camera_thread.call(self._source.open)
        await self._bounded(opening, max(_OPENING_S, self._settings.stall_s))
        self._tell_motion(on=False)
        self._presence.ready(self._source.describe())
        limit = self._settings.max_seconds or None
        try:
            async with asyncio.timeout(limit) as limiter:
                reason = await self._follow()
        except TimeoutError:
            if not limiter.expired():
                raise  # somebody else's
            reason = f"{self._settings.max_seconds:g} seconds are over"
        self._source.close()
        self._act(self._trigger.finish())
        await self._disk_thread.call(lambda: None)  # the time may have run out while a request was being accepted
        self._finished = f"capturing finished: {reason}"
        self._presence.ready(self._finished)

    async def _follow(self) -> str:
        """Look at frame after frame; returns why there is an end."""
        while True:
            if self._source.stills:
                await self._until_next_still()
            looked = await self._look()
            if looked is None:
                return "end of the source"
            frame, verdict = looked
            self.counts["frames"] += 1
            if not self._source.stills:
                self.counts[f"motion-{verdict.reason}"] += 1
            room = len(self._pursuit) < self._settings.max_open
            judged = trigger.FrameJudged(moving=verdict.moving, room=room)
            now = frame.media_ns
            actions = (*self._trigger.expire(now), *self._trigger.handle(judged, now))
            if self._source.stills:
                actions = (*actions, *self._trigger.finish())
            self._act(actions, verdict.area)
            if any(isinstance(action, trigger.Take) for action in actions):
                await self._ask(frame)
                if self.counts["accepted"] == self._settings.max_requests:  # 0: never equal after the first
                    return f"{self._settings.max_requests} requests"

    async def _look(self) -> tuple[Frame, MotionVerdict] | None:
        """The next frame and whether something moves in it. Raises `CameraFailed` when none comes for long."""
        return await self._bounded(self._camera_thread.call(self._read_and_judge), self._settings.stall_s)

    async def _bounded(self, work: "asyncio.Future[T]", seconds: float) -> T:
        self._camera_due_ns = self._clock.monotonic_ns() + int(seconds * SECOND)
        await asyncio.wait({work}, timeout=seconds)
        if not work.done():  # its thread may hang for ever, and is left behind
            raise CameraFailed(
                f"{self._source.describe()} has delivered nothing for {seconds:g} s.",
                "The process is restarted; if this repeats, check power, cable or network of the camera.",
            )
        self._camera_due_ns = None
        return work.result()

    def _read_and_judge(self) -> tuple[Frame, MotionVerdict] | None:
        frame = self._source.read()
        if frame is None:
            return None
        if self._source.stills:
            return frame, _A_PICTURE
        return frame, self._motion.update(frame.image if frame.luma is None else frame.luma, frame.media_ns)

    async def _until_next_still(self) -> None:
        """No picture of a folder is skipped: it waits for its turn and for room."""
        while len(self._pursuit) >= self._settings.max_open:
            self._pursuit.changed.clear()
            await self._pursuit.changed.wait()
        while (last := self._last_accepted_ns) is not None:
            left = last + self._settings.interval_ms * MS - self._clock.monotonic_ns()
            if left <= 0:
                return
            await asyncio.sleep(left / SECOND)

    def _act(self, actions: Iterable[trigger.Action], area: float | None = None) -> None:
        for action in actions:
            match action:
                case trigger.Began():
                    self._event_id = new_id(self._clock.wall_ns())
                    self.counts["events"] += 1
                    self._tell_motion(on=True, area=area)
                case trigger.Ended():
                    self._tell_motion(on=False)
                case trigger.Skipped(why):
                    self.counts[f"skipped-{why}"] += 1
                case trigger.Take():
                    pass  # `_ask`, with the frame

    def _tell_motion(self, *, on: bool, area: float | None = None) -> None:
        if self._source.stills:
            return  # a picture in a folder does not move
        head = new_header(self._clock, self._node, self._role)
        message = Motion(
            timestamp=head.timestamp,
            message_id=head.message_id,
            provenance=head.provenance,
            camera=self._camera.camera,
            state="on" if on else "off",
            event_id=self._event_id if on else None,
            area=area if on else None,
        )
        self._motion_told = encode(message)
        self._publish_motion()

    def _publish_motion(self) -> None:
        with contextlib.suppress(QueueFull):  # the broker is long away; it is told when it is back
            self._bus.publish(self._camera.motion, self._motion_told, retain=True)

    def _on_connection(self, up: bool) -> None:
        if up and self._motion_told:  # a broker that was killed may hold an older state, such as "on"
            self._publish_motion()

    async def _ask(self, frame: Frame) -> None:
        asking = self._disk_thread.call(self._asking.ask, frame, self._event_id)
        # By callback: once in the log it is published, even if this task is cancelled meanwhile.
        asking.add_done_callback(self._on_asked)
        await asyncio.shield(asking)

    def _on_asked(self, asking: "asyncio.Future[Asked]") -> None:
        if self._failed(asking):
            return
        asked = asking.result()
        self.counts["accepted"] += 1
        self._last_accepted_ns = self._clock.monotonic_ns()
        self._pursuit.accepted(asked)
        self._disk_thread.call(self._asking.tidy).add_done_callback(self._failed)

    # The shell's own state

    def _failed(self, work: "asyncio.Future[Any]") -> bool:
        """Whether work on the disk thread failed; the first failure ends the role."""
        if work.cancelled():
            return True
        error = work.exception()
        if error is None:
            return False
        if self._fatal is not None and not self._fatal.done():
            self._fatal.set_exception(error)
        return True

    async def _report(self) -> None:
        """Renew the retained state when a count has changed, at a bounded rate."""
        told: dict[str, int] = {}
        while True:
            await asyncio.sleep(self._settings.state_every_ms / 1000)
            counts = self._state_counts()
            if counts != told and self._bus.connected:
                told = counts
                self._presence.publish()

    def _state_counts(self) -> dict[str, int]:
        """For the retained state: `open` includes what an earlier process left; `motion-…` are frames by verdict."""
        counts = {"accepted": 0, "answered": 0, "receipts": 0, **self.counts}
        if self._pursuit.forwards:
            counts["unforwarded"] = self._pursuit.unforwarded
        return {**counts, "open": len(self._pursuit), "finished": int(bool(self._finished))}
