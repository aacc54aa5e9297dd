"""Composition: from settings to one role, ready to run. One function per role, and nothing else in here.

Each builds the bus (a session named after node and role, stable from start to start), its last will, and the role's
shell. What a role needs is imported by its function alone: the rendezvous and the injector stay without numpy.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import structs

from roost_broker.bus import Will
from roost_broker.clock import Clock, SystemClock
from roost_broker.errors import Misuse
from roost_broker.frames import FrameStore
from roost_broker.mqtt import MqttBus
from roost_broker.presence import role_will
from roost_broker.sessions import next_session
from roost_broker.topics import NodeTopics, TaskTopics
from roost_edge.processes.own_process import only_one
from roost_edge.processes.plan import Kind, RoleProcess
from roost_edge.settings.device import DataLayout, Settings

if TYPE_CHECKING:
    import asyncio


class Shell(Protocol):
    """A role: works until `stop` is set; raises when it cannot go on."""

    async def run(self, stop: "asyncio.Event") -> None:
        """See the class."""
        ...


class Place:
    """What every composition needs to know about the one role that this process is."""

    def __init__(self, settings: Settings, role: RoleProcess, clock: Clock) -> None:
        self.settings = settings
        self.role = role
        self.clock = clock
        self.session = next_session(settings.layout.session(role.name))

    @property
    def node(self) -> str:
        """The device's name."""
        return self.settings.node.name

    @property
    def device(self) -> NodeTopics:
        """The device's topics."""
        return self.settings.topics

    @property
    def topics(self) -> TaskTopics:
        """Topics of the role's task."""
        return self.settings.task_topics(self.role.task)

    @property
    def layout(self) -> DataLayout:
        """Where things lie."""
        return self.settings.layout

    @property
    def frames(self) -> FrameStore:
        """The frames as captured."""
        return FrameStore(self.layout.frames)

    def bus(self, *, will: Will | None = None, receive_maximum: int | None = None) -> MqttBus:
        """The role's session, not started; by default its will says `gone` on the role's state topic."""
        will = will or role_will(self.device, self.role.name, self.session, self.clock)
        return MqttBus(
            self.settings.broker, f"{self.node}-{self.role.name}", will=will, receive_maximum=receive_maximum
        )


@contextmanager
def compose(settings: Settings, role: RoleProcess, *, fault: str = "") -> Iterator[Shell]:
    """The role's shell; what it holds open is closed at the end. Raises `Misuse` for what cannot be.

    `fault` makes a model misbehave (see `roost_models.scaffold.faults`); only where the settings say QA.
    """
    if fault and not settings.node.qa:
        raise Misuse("A fault is injected only where the settings allow it.", "Set `qa = true` below [node].")
    if fault and role.kind != "model":
        raise Misuse(f"Only models can be made to misbehave, not {role.name}.", "Leave --fault out.")
    with only_one(settings.layout.session(f"{role.name}.lock")):
        place = Place(settings, role, SystemClock())
        with _MAKERS[role.kind](place, fault) as shell:
            yield shell


@contextmanager
def _rendezvous(place: Place, _fault: str) -> Iterator[Shell]:
    from roost_rendezvous import schedule
    from roost_rendezvous.server.role import RendezvousServer

    task = place.settings.tasks[place.role.task]
    yield RendezvousServer(
        place.bus(),
        place.topics,
        schedule.load(Path(task.schedule)),
        clock=place.clock,
        journal=place.layout.journal(place.role.task),
        settings=structs.replace(task.rendezvous, qa=place.settings.node.qa),
        node=place.node,
        session=place.session,
        role=place.role.name,
    )


@contextmanager
def _injector(place: Place, _fault: str) -> Iterator[Shell]:
    from roost_rendezvous.injector import StateInjector

    yield StateInjector(
        place.bus(),
        place.topics,
        clock=place.clock,
        node=place.node,
        session=place.session,
        role=place.role.name,
    )


@contextmanager
def _model(place: Place, fault: str) -> Iterator[Shell]:
    from roost_models.bundle.opening import open_bundle
    from roost_models.scaffold.faults import Faults
    from roost_models.scaffold.presence import model_will
    from roost_models.scaffold.role import Scaffold
    from roost_models.scaffold.settings import ScaffoldSettings, receive_maximum

    faults = Faults.parse(fault) if fault else None
    section = place.settings.tasks[place.role.task].models[place.role.model]
    bundle = open_bundle(Path(section.bundle), cache=place.layout.bundles)
    will = model_will(place.topics, place.role.model, place.session, place.clock, bundle)
    yield Scaffold(
        place.bus(will=will, receive_maximum=receive_maximum(bundle)),
        place.topics,
        place.role.model,
        bundle,
        place.frames,
        clock=place.clock,
        node=place.node,
        session=place.session,
        faults=faults,
        settings=ScaffoldSettings(qa=place.settings.node.qa),
    )


@contextmanager
def _decoy(place: Place, _fault: str) -> Iterator[Shell]:
    from roost_models.archive.writing import Archive
    from roost_models.decoy import Decoy

    archive = Archive(place.layout.archive(place.role.task), settings=place.settings.archive)
    try:
        yield Decoy(
            place.bus(),
            place.topics,
            archive,
            place.frames,
            clock=place.clock,
            node=place.node,
            session=place.session,
            role=place.role.name,
        )
    finally:
        archive.close()


@contextmanager
def _capture(place: Place, _fault: str) -> Iterator[Shell]:
    from roost_edge.capture.request_log import RequestLog
    from roost_edge.capture.role import Capture
    from roost_edge.motion.detector import MotionDetector
    from roost_edge.sources.choose import open_source

    name = place.role.camera
    camera = place.settings.cameras[name]
    with RequestLog(place.layout.requests(name)) as log:
        yield Capture(
            place.bus(),
            place.settings.task_topics(camera.task),
            place.settings.camera_topics(name),
            open_source(camera, place.clock),
            MotionDetector(camera.motion),
            log,
            place.frames,
            clock=place.clock,
            node=place.node,
            session=place.session,
            settings=camera.capture,
            role=place.role.name,
        )


@contextmanager
def _alerts(place: Place, _fault: str) -> Iterator[Shell]:
    from roost_edge.alerts.role import AlertsRole, Device, availability_will

    settings = place.settings
    models = {
        f"{task}/{model}": Path(section.bundle).name
        for task, part in settings.tasks.items()
        for model, section in part.models.items()
    }
    yield AlertsRole(
        place.bus(will=availability_will(place.device, place.session, place.clock)),
        place.device,
        [settings.task_topics(task) for task in settings.tasks],
        settings.alerts,
        place.frames,
        device=Device(cameras=tuple(settings.cameras), models=models),
        outbox=place.layout.outbox,
        clock=place.clock,
        session=place.session,
        role=place.role.name,
    )


_MAKERS: dict[Kind, Callable[[Place, str], AbstractContextManager[Shell]]] = {
    "rendezvous": _rendezvous,
    "injector": _injector,
    "model": _model,
    "decoy": _decoy,
    "capture": _capture,
    "alerts": _alerts,
}
