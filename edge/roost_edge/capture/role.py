"""The role capture: watches one camera, asks about what moves, and asks until it is archived and answered.

Two threads do what blocks: one reads the camera and judges motion, one writes frames and the request log. The event
loop publishes and listens. Deciding is done by pure cores: `trigger` (which frame), `redelivery` (published when).

1. Accepted means in the request log; only then is a request published.
2. Results and receipts are acknowledged to the broker after they are committed to the log.
3. A camera that delivers nothing for `stall_s`, a disk that fails or a broken log end the role with an error: it dies
   loudly and its supervisor starts it again; it then goes on with the requests left open. A camera that broke is opened
   again before that (`camera`). While there is no room for pictures none is taken, and that is said.
4. When capturing is finished (end of film, `max_requests`, `max_seconds`) nothing more is accepted; the role goes on
   until what is open is closed and it is told to stop. Its state says `finished`.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from roost_broker.announce import Announcer
from roost_broker.bus import Bus
from roost_broker.cancellation import cancel_and_wait
from roost_broker.clock import MS, SECOND, Clock
from roost_broker.errors import QueueFull
from roost_broker.frames import FrameStore
from roost_broker.headers import new_header
from roost_broker.ids import new_id
from roost_broker.messages import Motion, encode
from roost_broker.presence import RolePresence
from roost_broker.room import Reserve, Room, room_of
from roost_broker.topics import CameraTopics, TaskTopics
from roost_broker.tracing import Tracer
from roost_broker.worker import Worker
from roost_edge.capture import camera as camera_watch
from roost_edge.capture import trigger
from roost_edge.capture.asking import Asked, Asking
from roost_edge.capture.beside import Beside
from roost_edge.capture.orders import Orders
from roost_edge.capture.pursuit import Pursuit
from roost_edge.capture.request_log import RequestLog
from roost_edge.capture.roll import Roll
from roost_edge.capture.settings import CaptureSettings
from roost_edge.desk.questions import Question
from roost_edge.motion.detector import MotionDetector, MotionVerdict
from roost_edge.sources.frame import CameraFailed, Frame, FrameSource
from roost_edge.sources.frozen import Frozen

_LAST_WRITES_S = 5.0
_TIDY_S = 10.0
"""The house-keeping of pictures also looks when nothing is accepted: others may have filled the disk."""
_A_PICTURE = MotionVerdict(moving=True, area=1.0, box=None, reason="motion")
"""Of sources that deliver pictures, not film: each is an event."""


class Capture:
    """Construct, then `run`. `bus` is not started yet; `log` is closed by whoever made it, after `run`.

    Requests return to `topics.results(<camera>)`. `role` names the retained state (`roles/<role>`). `forwarded`: this
    device's gateway gives receipts, and requests are asked again until theirs has come. `switches`: folder of what
    people switched; without one nobody can order anything of this camera.
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
        reserve: Reserve | None = None,
        measure: Callable[[Path], Room] = room_of,
        switches: Path | None = None,
        beside: tuple[Path, Path] | None = None,
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
            reserve=reserve,
            measure=measure,
        )
        self._watched = camera_watch.Camera(
            *(source, self._camera_thread, self._settings), clock=clock, counts=self.counts, told=self._camera_stands
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
        self._announcer = Announcer(bus, topics.device, role, clock, self.counts)
        self._orders: Orders | None = None
        if switches is not None:
            self._orders = Orders(bus, camera, switches, role=role, clock=clock, counts=self.counts)
        self._beside: Beside | None = None
        if beside is not None and not source.stills:
            self._beside = Beside(*beside, self._settings, self.counts)
        self._no_room = False
        self._frozen = Frozen()
        self._trigger = trigger.Trigger(self._settings)
        self._event_id = ""
        self._motion_told = b""
        bus.on_connection(self._on_connection)
        self._last_accepted_ns: int | None = None
        self._finished = ""
        self._fatal: asyncio.Future[None] | None = None

    def stuck(self) -> str:
        """For the watchdog: rule 3 ends a role whose camera hangs; where even that failed, systemd does."""
        return self._watched.stuck()

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
                ("house-keeping", self._keep_house()),
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
            for one in done:
                one.result()

    async def _wind_up(self, tasks: "Sequence[asyncio.Task[object]]") -> None:
        self._source.close()
        await cancel_and_wait(*tasks)
        # What was accepted is still published, and what was committed acknowledged; but a dead card must not hold us.
        last = {self._disk_thread.call(lambda: None)}
        if self._beside is not None:
            last.add(self._camera_thread.call(self._beside.close))
        await asyncio.wait(last, timeout=_LAST_WRITES_S)
        self._disk_thread.stop()
        self._camera_thread.stop()
        if self._fatal is not None and not self._fatal.cancel() and not self._fatal.cancelled():
            self._fatal.exception()  # raised already; read here, or asyncio complains that nobody did
        self._tell_motion(on=False)

    # The camera

    async def _watch(self) -> None:
        await self._pursuit.resume()
        await self._watched.open()
        self._tell_motion(on=False)
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
            looked_at = self._source.stills or self._orders is None or self._orders.detecting
            judged = trigger.FrameJudged(moving=verdict.moving and looked_at, room=room)
            now = frame.media_ns
            actions = (*self._trigger.expire(now), *self._trigger.handle(judged, now))
            if self._source.stills:
                actions = (*actions, *self._trigger.finish())
            self._act(actions, verdict, now)
            asked = () if self._orders is None else self._orders.take()
            if asked or any(isinstance(action, trigger.Take) for action in actions):
                await self._ask(frame, asked, verdict)
                if self.counts["accepted"] == self._settings.max_requests:  # 0: never equal after the first
                    return f"{self._settings.max_requests} requests"

    async def _look(self) -> tuple[Frame, MotionVerdict] | None:
        """The next frame and whether something moves in it. Raises `CameraFailed` when none comes for long."""
        return await self._watched.look(self._read_and_judge)

    def _camera_stands(self, standing: camera_watch.Standing, detail: str) -> None:
        """The role's state is the camera's: whoever shows whether the camera works reads it there."""
        match standing:
            case "working":
                self._presence.ready(detail)
            case "late":
                self._presence.failed(detail)
            case "reopening":
                self._presence.starting(detail)
                self._act(self._trigger.finish())  # what comes next has nothing to do with what was

    def _read_and_judge(self) -> tuple[Frame, MotionVerdict] | None:
        frame = self._source.read()
        if frame is None:
            return None
        if self._source.live and self._settings.frozen_s:
            self._check_frozen(frame)
        if self._source.stills:
            return frame, _A_PICTURE
        verdict = self._motion.update(frame.image if frame.luma is None else frame.luma, frame.media_ns)
        if self._beside is not None:
            self._beside.saw(frame, verdict)
        return frame, verdict

    def _check_frozen(self, frame: Frame) -> None:
        if self._frozen.for_ns(frame.image, frame.at_monotonic_ns) < self._settings.frozen_s * SECOND:
            return
        self._frozen = Frozen()
        self.counts["frozen"] += 1
        raise CameraFailed(
            f"{self._source.describe()} has shown the very same picture for {self._settings.frozen_s:g} s.",
            "Check its power; a stream that is to stand still needs frozen_s = 0.",
        )

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

    def _act(
        self, actions: Iterable[trigger.Action], verdict: MotionVerdict | None = None, now_ns: int | None = None
    ) -> None:
        roll = self._beside.roll if self._beside is not None and now_ns is not None else None
        for action in actions:
            match action:
                case trigger.Began():
                    self._event_id = new_id(self._clock.wall_ns())
                    self.counts["events"] += 1
                    self._tell_motion(verdict, on=True)
                    if roll is not None and now_ns is not None:
                        roll.began(self._event_id, now_ns)
                case trigger.Ended():
                    self._tell_motion(on=False)
                    if roll is not None and now_ns is not None:
                        roll.ended(now_ns)
                case trigger.Skipped(why):
                    self.counts[f"skipped-{why}"] += 1
                case trigger.Take():
                    pass  # `_ask`, with the frame
        if roll is not None and roll.due:
            self._disk_thread.call(self._write_roll, roll).add_done_callback(self._failed)

    def _tell_motion(self, verdict: MotionVerdict | None = None, *, on: bool) -> None:
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
            area=verdict.area if on and verdict is not None else None,
            zones=verdict.zones if on and verdict is not None else (),
        )
        self._motion_told = encode(message)
        self._publish_motion()

    def _publish_motion(self) -> None:
        with contextlib.suppress(QueueFull):  # the broker is long away; it is told when it is back
            self._bus.publish(self._camera.motion, self._motion_told, retain=True)

    def _on_connection(self, up: bool) -> None:
        if up and self._motion_told:  # a broker that was killed may hold an older state, such as "on"
            self._publish_motion()

    async def _ask(self, frame: Frame, wanted: tuple[Question, ...], verdict: MotionVerdict) -> None:
        asking = self._disk_thread.call(self._asking.ask, frame, self._event_id, verdict, asked=bool(wanted))
        # By callback: once in the log it is published, even if this task is cancelled meanwhile.
        asking.add_done_callback(self._on_asked)
        await asyncio.shield(asking)
        if self._orders is not None and wanted:
            self._orders.done(wanted, asking.result())

    def _on_asked(self, asking: "asyncio.Future[Asked | None]") -> None:
        if self._failed(asking):
            return
        asked = asking.result()
        self._tell_room(room=asked is not None)
        if asked is None:
            self.counts["skipped-no-room"] += 1
            return
        self.counts["accepted"] += 1
        self._last_accepted_ns = self._clock.monotonic_ns()
        self._pursuit.accepted(asked)
        self._disk_thread.call(self._asking.tidy).add_done_callback(self._failed)

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(_TIDY_S)
            await self._disk_thread.call(self._asking.tidy)
            if self._beside is not None and self._beside.roll is not None:
                await self._disk_thread.call(self._write_roll, self._beside.roll)

    def _write_roll(self, roll: Roll) -> None:
        """On the disk thread."""
        roll.write(short=self._asking.shortage())

    def _tell_room(self, *, room: bool) -> None:
        """Say once that pictures are not taken for want of room, and once that they are again."""
        if room is not self._no_room:
            return
        self._no_room = not room
        words = "There is room for pictures again." if room else "No room is left: no new picture is taken."
        self._announcer.say("pictures-taken" if room else "pictures-not-taken", words, {"camera": self._camera.camera})
        self._presence.ready(self._source.describe() if room else f"{self._source.describe()}. {words}")

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
        counts = {"accepted": 0, "answered": 0, "receipts": 0, **self.counts, **self._asking.house_keeping()}
        if self._pursuit.forwards:
            counts["unforwarded"] = self._pursuit.unforwarded
        return {**counts, "open": len(self._pursuit), "finished": int(bool(self._finished))}
