"""The course of the demo: build the device, start it, hurt it as asked, watch it, let it finish, stop it.

1. Every role is a process of its own, started by the supervisor from a real settings file; the camera comes last.
2. Faults are there before the first request: kill and hang by signal, slow and wrong through the daemon (QA).
3. When the time is over the camera asks no more, and what is open is waited for, in bounded time.
4. A role that dies is started again by the supervisor, the broker by this module (systemd does both on a device).
5. Whatever happens, nothing is left running.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from msgspec import structs

from roost_broker.errors import PeerError, RoostError
from roost_broker.frames import FrameStore
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_edge.demo import stage
from roost_edge.demo.models import CAMERA, TASK
from roost_edge.demo.options import Fault, Options
from roost_edge.demo.reporters import Reporter
from roost_edge.demo.view_model import ViewModel
from roost_edge.demo.watch import Watcher
from roost_edge.logs import readable
from roost_edge.processes.supervisor import Supervisor

_TICK_S = 0.25
_PATIENCE_S = 3.0
_DRAIN_S = 40.0  # longer than a republication that has backed off twice
_CAPTURE = f"capture-{CAMERA}"


@dataclass(slots=True)
class Played:
    """What the run leaves to be judged."""

    request_log: Path
    archive: Path
    sightings: int
    seconds: float
    interrupted: bool = False
    """Ended by hand, and not by its time or the end of film or folder."""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Play:
    """One run in `folder`. `interrupted` ends the capturing early; set `hurry` to end the waiting, too."""

    def __init__(
        self,
        options: Options,
        folder: Path,
        henhouse: Path,
        reporter: Reporter,
        *,
        interrupted: asyncio.Event,
        hurry: asyncio.Event,
    ) -> None:
        self._options = options
        self._folder = folder
        self._henhouse = henhouse
        self._reporter = reporter
        self._interrupted = interrupted
        self._hurry = hurry
        self._broker = PrivateBroker(folder / "broker", port=options.port)
        self._notes: list[str] = []

    async def run(self) -> Played:
        """The whole course. Raises `RoostError` when the device could not be started."""
        self._broker.start()
        try:
            settings = stage.build(self._folder, self._options, henhouse=self._henhouse, port=self._broker.port)
            faults = {_role(fault): fault.kind for fault in self._options.faults if not fault.by_signal}
            supervisor = Supervisor(settings, faults=faults, on_change=self._role_changed)
            over = asyncio.Event()
            keeper = asyncio.create_task(self._keep_broker(over))
            try:
                return await self._with_device(supervisor)
            finally:
                over.set()
                await keeper  # it may just be starting the broker: that one must be stopped, too
        finally:
            self._broker.stop()

    async def _with_device(self, supervisor: Supervisor) -> Played:
        settings = supervisor.settings
        device = settings.topics
        view = ViewModel(settings.task_topics(TASK), settings.camera_topics(CAMERA))
        eyes = structs.replace(settings.broker, session_expiry_s=0)
        bus = MqttBus(eyes, f"{device.node}-demo-{os.getpid()}")
        watcher = Watcher(bus, device, view)
        await bus.start()
        try:
            self._reporter.say(
                f"Starting {len(supervisor.roles)} processes: {', '.join(role.name for role in supervisor.roles)}."
            )
            await self._start(supervisor, watcher)
            look = f"mosquitto_sub -p {self._broker.port} -t '{device.root}/#' -v"
            self._reporter.say(f"All are ready. Look in from another terminal: {look}")
            proxy = view.roles.get("proxy")
            if proxy is not None:  # its state says where it listens
                self._reporter.say(f"Ask over HTTP, with a browser or curl: {proxy.detail}/docs")
            self._reporter.watch(
                view,
                FrameStore(settings.layout.frames),
                title=self._title(device.node),
                hint=f"Ctrl-C ends. Look in: {look}" + (f" · ask: {proxy.detail}/docs" if proxy else ""),
            )
            seconds, problems = await self._capture(supervisor, watcher)
        finally:
            with suppress(OSError):  # the terminal may have gone; the processes are to go all the same
                self._reporter.close()
            for fault in self._options.faults:
                if fault.kind == "hang":  # it would not hear that it is to stop
                    supervisor.kill(_role(fault), signal.SIGKILL, restart=False)
            await supervisor.stop()
            await bus.stop()
        return Played(
            request_log=settings.layout.requests(CAMERA),
            archive=settings.layout.archive(TASK),
            sightings=view.sightings,
            seconds=seconds,
            interrupted=self._interrupted.is_set(),
            problems=problems,
            notes=self._notes,
        )

    async def _start(self, supervisor: Supervisor, watcher: Watcher) -> None:
        """All but the camera, then the faults, then the camera. Raises `PeerError` naming what is not ready."""
        await self._unless_interrupted(supervisor.start())
        for role in supervisor.roles:
            if role.kind != "capture" and supervisor.state(role.name) != "ready":
                raise _not_ready(supervisor, role.name)
        # The camera's process has only just begun to exist: the faults are there well before its first request.
        for fault in self._options.faults:
            if fault.by_signal:
                number = signal.SIGKILL if fault.kind == "kill" else signal.SIGSTOP
                supervisor.kill(_role(fault), number, restart=fault.kind == "hang")
            self._reporter.say(f"Fault: {fault.model} {_spoken(fault)}.")
        ready = watcher.until(lambda: supervisor.state(_CAPTURE) == "ready", timeout_s=30)
        if not await self._unless_interrupted(ready):
            raise _not_ready(supervisor, _CAPTURE)

    async def _capture(self, supervisor: Supervisor, watcher: Watcher) -> tuple[float, list[str]]:
        """Watch until capturing is finished, then until nothing is open. Returns its seconds and what went wrong."""
        loop = asyncio.get_running_loop()
        camera = watcher.view.role_counts
        began = loop.time()
        limit = self._options.seconds or float("inf")
        while not (camera(_CAPTURE).get("finished") or self._interrupted.is_set()):
            if loop.time() - began > limit + _PATIENCE_S:  # it was killed on the way, and has begun to count anew
                break
            await self._pause(self._interrupted)
        seconds = min(loop.time() - began, limit)
        if not camera(_CAPTURE).get("finished"):
            self._ask_no_more(supervisor)
        self._reporter.say("No more questions; waiting for what is still open …")
        end = loop.time() + _DRAIN_S
        while loop.time() < end and not self._hurry.is_set():
            if camera(_CAPTURE).get("finished") and camera(_CAPTURE).get("open") == 0:
                await self._until_seen(watcher)
                return seconds, []
            await self._pause(self._hurry)
        waiting = camera(_CAPTURE).get("open", 0)  # the request log has the last word when the summary is made
        return seconds, [f"Waited in vain for {waiting} open requests."] if waiting else []

    def _ask_no_more(self, supervisor: Supervisor) -> None:
        """Start the camera's role again, told to accept nothing: its log knows what is open, and it sees to that."""
        ended = replace(self._options, seconds=0.001)
        stage.build(self._folder, ended, henhouse=self._henhouse, port=self._broker.port)
        supervisor.kill(_CAPTURE, signal.SIGTERM, restart=True)

    async def _until_seen(self, watcher: Watcher) -> None:
        """Let our own subscription catch up."""
        view = watcher.view
        await watcher.until(lambda: view.archived >= view.requests and view.answered >= view.requests, timeout_s=2)

    async def _pause(self, until: asyncio.Event) -> None:
        self._reporter.tick()
        with suppress(TimeoutError):
            async with asyncio.timeout(_TICK_S):
                await until.wait()

    async def _keep_broker(self, over: asyncio.Event) -> None:
        """Start the broker again when it has died."""
        while not over.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await over.wait()
            if not over.is_set() and not self._broker.running:
                self._notes.append("The broker ended and was started again.")
                # The port may be taken for a moment; it is tried again. The broker ends with the thread that starts
                # it: those of the executor live until the loop is closed.
                with suppress(RoostError, OSError):
                    await asyncio.to_thread(self._broker.start)

    async def _unless_interrupted(self, work: Awaitable[bool | None]) -> bool | None:
        """Await `work`; Ctrl-C while the device is starting ends the demo at once."""
        doing = asyncio.ensure_future(work)
        ending = asyncio.ensure_future(self._interrupted.wait())
        try:
            await asyncio.wait((doing, ending), return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                raise PeerError("Interrupted before the device was ready.", "Nothing is left running.")
            return await doing
        finally:
            ending.cancel()
            doing.cancel()

    def _role_changed(self, role: str, what: str) -> None:
        if "starts again" in what and not what.startswith("ended with status 0"):  # that one was told to
            self._notes.append(f"{role} {what}.")

    def _title(self, node: str) -> str:
        path = self._options.path
        words = ["Roost", node, TASK, self._options.source if path is None else path.name]
        words += [f"{fault.model}={fault.kind}" for fault in self._options.faults]
        return " · ".join(words)


def _role(fault: Fault) -> str:
    return f"model-{TASK}-{fault.model}"


def _spoken(fault: Fault) -> str:
    kind, _, ms = fault.kind.partition(":")
    return {
        "kill": "is killed and stays dead",
        "hang": "hangs from now on",
        "slow": f"takes {ms} ms longer for each answer",
        "wrong": "gives answers that do not decode",
    }[kind]


def _not_ready(supervisor: Supervisor, role: str) -> PeerError:
    said = "\n".join(f"    {readable(line)}" for line in supervisor.last_lines(role)) or "    (nothing)"
    return PeerError(
        f"{role} did not become ready. It said last:\n{said}\n", "Run the demo again with --keep DIR for all logs."
    )
