"""Composition: from settings to one role, ready to run. One function per role, and nothing else in here.

Each builds the bus (a session named after node and role, stable from start to start), its last will, and the role's
shell. What a role needs is imported by its function alone: the rendezvous and the injector stay without numpy.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import structs

from roost_broker.bus import Will
from roost_broker.clock import Clock, SystemClock
from roost_broker.credentials import as_user
from roost_broker.errors import Misuse
from roost_broker.frames import FrameStore
from roost_broker.mqtt import MqttBus
from roost_broker.presence import role_will
from roost_broker.role_access import session_user
from roost_broker.sessions import next_session
from roost_broker.settings import BrokerSettings
from roost_broker.topics import NodeTopics, TaskTopics
from roost_broker.tracing import Tracer
from roost_edge.compose_alerts import compose_alerts
from roost_edge.compose_desk import compose_desk
from roost_edge.compose_feed import compose_feed
from roost_edge.compose_gateway import compose_gateway
from roost_edge.compose_notify import compose_notify
from roost_edge.compose_ota import bundle_of, compose_ota
from roost_edge.compose_page import compose_page
from roost_edge.processes import slots
from roost_edge.processes.own_process import only_one
from roost_edge.processes.plan import Kind, RoleProcess
from roost_edge.processes.slots import Standing
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

    def __init__(
        self, settings: Settings, role: RoleProcess, clock: Clock, standing: Standing, settings_file: Path | None = None
    ) -> None:
        self.settings = settings
        self.settings_file = settings_file
        self.standing = standing
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

    @property
    def shown(self) -> FrameStore:
        """The frames as they may be shown outside the device."""
        return self.guarded(self.layout.frames)

    def guarded(self, root: Path) -> FrameStore:
        """A store of frames as the privacy guard lets it be seen, where the settings have one."""
        settings = self.settings
        if settings.privacy is None:
            return FrameStore(root)
        from roost_edge.privacy.guarded_frames import GuardedFrames

        archives = [self.layout.archive(task) for task in settings.tasks]
        return GuardedFrames(root, archives, settings.privacy, self.clock)

    def bus(self, *, will: Will | None = None, receive_maximum: int | None = None, kept: bool = True) -> MqttBus:
        """The role's session, not started; by default its will says `gone` on the role's state topic.

        `kept`: the broker keeps what comes while the role is away.
        """
        will = will or role_will(self.device, self.role.name, self.session, self.clock)
        return MqttBus(
            self._broker("", kept=kept), f"{self.node}-{self.role.name}", will=will, receive_maximum=receive_maximum
        )

    def remember_in_charge(self, name: str) -> None:
        """From a transition token on the process called `name` is in charge."""
        slots.remember(self.layout, self.role, name)

    def side_bus(self, name: str, *, kept: bool = False) -> MqttBus:
        """A second session of the role, without a will. `kept` as with `bus`."""
        return MqttBus(self._broker(name, kept=kept), f"{self.node}-{self.role.name}-{name}")

    def _broker(self, session: str, *, kept: bool) -> BrokerSettings:
        """The broker as this role's session reaches it: under a name of its own."""
        name = self.role.name
        broker = as_user(self.settings.broker, session_user(name, session), secret_of=name)
        return broker if kept else structs.replace(broker, session_expiry_s=0)


def _tracer(place: Place, bus: MqttBus, component: str, topics: TaskTopics) -> Tracer:
    """What the role says of traced requests, as [traces] wants it; on demand in QA alone."""
    wanted = place.settings.traces
    on_demand = wanted.on_demand and place.settings.node.qa
    return Tracer(bus, topics, component, place.clock, node=place.node, share=wanted.share, on_demand=on_demand)


@contextmanager
def compose(
    settings: Settings,
    role: RoleProcess,
    *,
    fault: str = "",
    standing: Standing = "alone",
    settings_file: Path | None = None,
) -> Iterator[Shell]:
    """The role's shell; what it holds open is closed at the end. Raises `Misuse` for what cannot be.

    `fault` makes a model misbehave (see `roost_broker.faults`); only where the settings say QA.
    A role that can hand over waits in standby for its predecessor's token (see `processes.slots`).
    `settings_file` is where the settings were read from, for the role that shows them.
    """
    if fault and not settings.node.qa:
        raise Misuse("A fault is injected only where the settings allow it.", "Set `qa = true` below [node].")
    if fault and role.kind != "model":
        raise Misuse(f"Only models can be made to misbehave, not {role.name}.", "Leave --fault out.")
    with only_one(settings.layout.session(f"{role.name}.lock")):
        place = Place(settings, role, SystemClock(), standing, settings_file)
        with _MAKERS[role.kind](place, fault) as shell:
            yield shell


@contextmanager
def _rendezvous(place: Place, _fault: str) -> Iterator[Shell]:
    from roost_rendezvous import schedule
    from roost_rendezvous.server.role import RendezvousServer

    task = place.settings.tasks[place.role.task]
    bus = place.bus()
    yield RendezvousServer(
        bus,
        place.topics,
        # A successor takes over what is in force; the file counts again from the next start on.
        None if place.standing == "standby" else schedule.load(Path(task.schedule)),
        clock=place.clock,
        journal=place.layout.journal(place.role.task),
        settings=structs.replace(task.rendezvous, qa=place.settings.node.qa),
        tracer=_tracer(place, bus, "rendezvous", place.topics),
        node=place.node,
        session=place.session,
        role=place.role.name,
        slot=place.role.slot,
        standby=place.standing == "standby",
        resumes=place.standing == "resumes",
        handover=place.layout.handover(place.role.task),
        in_charge=place.remember_in_charge,
        scores_bus=place.side_bus("scores", kept=True),
    )


@contextmanager
def _injector(place: Place, _fault: str) -> Iterator[Shell]:
    from roost_rendezvous.injector.role import StateInjector

    values = place.settings.tasks[place.role.task].state
    bus = place.bus()
    yield StateInjector(
        bus,
        place.topics,
        clock=place.clock,
        node=place.node,
        session=place.session,
        role=place.role.name,
        values=values,
        listening=place.side_bus("state") if any(value.topic for value in values.values()) else None,
        standby=place.standing == "standby",
        watching=place.side_bus("watch") if place.standing == "standby" else None,
        snapshots=place.layout.handover(place.role.task),
        in_charge=place.remember_in_charge,
        tracer=_tracer(place, bus, "injector", place.topics),
        qa=place.settings.node.qa,
    )


@contextmanager
def _model(place: Place, fault: str) -> Iterator[Shell]:
    from roost_broker.faults import Fault
    from roost_models.internal_state.rebuild import StatePlace
    from roost_models.scaffold.partition import Partition
    from roost_models.scaffold.presence import model_will
    from roost_models.scaffold.role import Scaffold
    from roost_models.scaffold.settings import ScaffoldSettings, receive_maximum

    faults = Fault.parse(fault) if fault else None
    section, bundle = bundle_of(place.settings, place.role)
    partition = Partition(place.role.replica, section.replicas, section.key)
    will = model_will(place.topics, place.role.model, place.session, place.clock, bundle, place.role.replica)
    # To a shared subscriber that is away the broker would go on dealing out its part: it must forget the session.
    bus = place.bus(will=will, receive_maximum=receive_maximum(bundle), kept=not partition.shared)
    yield Scaffold(
        bus,
        place.topics,
        place.role.model,
        bundle,
        place.frames,
        clock=place.clock,
        node=place.node,
        session=place.session,
        faults=faults,
        settings=ScaffoldSettings(qa=place.settings.node.qa),
        tracer=_tracer(place, bus, f"model {place.role.model}", place.topics),
        partition=partition,
        internal_state=StatePlace(place.layout.internal_state(place.role.name), place.layout.archive(place.role.task)),
    )


@contextmanager
def _decoy(place: Place, _fault: str) -> Iterator[Shell]:
    from roost_models.archive.writing import Archive
    from roost_models.decoy import Decoy

    settings, folder = place.settings, place.layout.archive(place.role.task)
    archive = Archive(folder, settings=settings.archive, reserve=settings.store.reserve)
    bus = place.bus()
    try:
        yield Decoy(
            bus,
            place.topics,
            archive,
            place.frames,
            clock=place.clock,
            node=place.node,
            session=place.session,
            role=place.role.name,
            tracer=_tracer(place, bus, "decoy", place.topics),
            qa=place.settings.node.qa,
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
    bus, topics = place.bus(), place.settings.task_topics(camera.task)
    with RequestLog(place.layout.requests(name)) as log:
        yield Capture(
            bus,
            topics,
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
            tracer=_tracer(place, bus, place.role.name, topics),
            forwarded=place.settings.gateway is not None and place.settings.gateway.confirms(place.node),
            reserve=place.settings.store.reserve,
            switches=place.layout.switches,
            beside=(place.layout.motion_log(name), place.layout.rolls(name)),
        )


@contextmanager
def _monitor(place: Place, _fault: str) -> Iterator[Shell]:
    from roost_edge.desk.replying import Replies
    from roost_rendezvous.monitor import Monitor
    from roost_rendezvous.monitor.watch_desk import WatchDesk

    settings, bus = place.settings, place.bus(kept=place.settings.analytics.enabled)

    def watch(counts: Counter[str]) -> WatchDesk:
        return WatchDesk(
            bus,
            place.device,
            tuple(settings.tasks),
            place.layout.analytics,
            clock=place.clock,
            counts=counts,
            settings=settings.analytics,
            role=place.role.name,
            answering=Replies(bus, place.device, place.role.name, place.clock, counts),
        )

    yield Monitor(
        bus,
        [settings.task_topics(task) for task in settings.tasks],
        place.layout.traces,
        clock=place.clock,
        node=place.node,
        session=place.session,
        settings=settings.traces,
        role=place.role.name,
        watch=watch if settings.analytics.enabled else None,
    )


@contextmanager
def _proxy(place: Place, _fault: str) -> Iterator[Shell]:
    try:
        from roost_rendezvous.proxy.role import RequestProxy
    except ModuleNotFoundError as error:
        remedy = "Install the extra `web` (pip install 'roost[web]'), or take [proxy] out of the settings."
        raise Misuse(f"The proxy needs {error.name}, which is not installed.", remedy) from error

    settings = place.settings
    yield RequestProxy(
        place.bus(),
        place.device,
        tuple(settings.tasks),
        place.frames,
        place.layout.proxy_frames,
        clock=place.clock,
        session=place.session,
        qa=settings.node.qa,
        settings=settings.proxy,
        role=place.role.name,
    )


_MAKERS: dict[Kind, Callable[[Place, str], AbstractContextManager[Shell]]] = {
    "rendezvous": _rendezvous,
    "injector": _injector,
    "model": _model,
    "decoy": _decoy,
    "monitor": _monitor,
    "capture": _capture,
    "alerts": compose_alerts,
    "notify": compose_notify,
    "proxy": _proxy,
    "feed": compose_feed,
    "gateway": compose_gateway,
    "desk": compose_desk,
    "ota": compose_ota,
    "page": compose_page,
}
