"""All settings of one device in one TOML file, as values; `loading` reads them and says what is wrong, and where.

    [node]                       name, data folder, QA
    [broker]                     where Mosquitto listens, and as whom a role comes
    [mosquitto]                  this device's own Mosquitto, as `roost broker setup` configures it
    [tasks.<task>]               its schedule (which holds the SLA) and its rendezvous
    [tasks.<task>.models.<name>] which bundle
    [tasks.<task>.state.<name>]  one value of external state
    [cameras.<name>]             task and source; [cameras.<name>.motion], [cameras.<name>.capture]
    [archive]  [alerts]          budgets; when a result is news, and for whom: [alerts.rules.<name>]
    [notify]                     where notices go beside MQTT, if this section is there
    [discovery]                  how Home Assistant finds the device, if this section is there
    [proxy]                      HTTP in front of the tasks, if this section is there
    [store]                      what stays free of the card, and when its house-keeping is late
    [privacy]                    which model keeps pictures of people on the device, if this section is there
    [traces]                     which requests are traced, and how much of it is kept
    [analytics]                  how often the monitor may be wrong, and how much it keeps
    [gateway]                    how messages reach the centre, if this section is there
    [ota]                        where new bundles come from, if this section is there
    [feed]                       what is shown to the public, and where, if this section is there
    [desk]                       how long the device may examine itself when it is asked to
    [page]                       the device's own web page, if this section is there

Relative paths are relative to the folder of the settings file, not to where a command is run. A setting that is not
known is an error, not a comment: a misspelt one would otherwise silently do nothing. Each part's struct lives beside
the code it is for; this module only composes them, and imports no heavy library (the rendezvous reads it too).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from msgspec import Struct, field

from roost_broker.gateway.settings import GatewaySettings
from roost_broker.mosquitto_device import DeviceBrokerSettings
from roost_broker.settings import BrokerSettings
from roost_broker.topics import CameraTopics, NodeTopics, TaskTopics
from roost_edge.alerts.settings import AlertSettings
from roost_edge.capture.settings import CaptureSettings
from roost_edge.desk.settings import DeskSettings
from roost_edge.discovery.settings import DiscoverySettings
from roost_edge.feed.settings import FeedSettings
from roost_edge.janitor.settings import StoreSettings
from roost_edge.motion.settings import MotionSettings
from roost_edge.notify.settings import NotifySettings
from roost_edge.ota.lines import Line
from roost_edge.ota.settings import OtaSettings
from roost_edge.page.settings import PageSettings
from roost_edge.privacy.settings import PrivacySettings
from roost_edge.sources.settings import CameraSettings
from roost_edge.units.settings import UnitSettings
from roost_models.archive.settings import ArchiveSettings
from roost_rendezvous.analytics.watch.settings import AnalyticsSettings
from roost_rendezvous.injector.settings import StateValue
from roost_rendezvous.proxy.settings import ProxySettings
from roost_rendezvous.server.settings import ServerSettings
from roost_rendezvous.traces.settings import TraceSettings


class NodeSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The device itself."""

    name: str
    """Its level in every topic: letters, digits, '-' and '_'. "@identity": the name that enrolment gave it."""
    data: str = "roost-data"
    """Folder of everything that is kept: frames, archive, request logs, journals, logs."""
    qa: bool = False
    """Allow what must never happen by accident: injected faults, and overrides of the schedule by a request."""
    compact: bool = False
    """For boards with 512 MB: the roles beside the flow (archive, monitor, alerts, desk, a page on loopback) share one
    process, and fall together where one of them takes it down; models share what they have imported. See
    docs/footprint.md for what it brings."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class ModelSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model of a task. Whether its answers count is the schedule's business, not this file's."""

    bundle: str
    """A bundle: a folder, or a single `.roost` file."""
    replicas: int = 1
    """Processes that share its requests, for a model that is too slow alone."""
    key: str = ""
    """Name of a tag: requests with the same value go to the same replica, in order. Empty: whoever is next."""
    ota: str = ""
    """Name of a bundle in the registry: the model is kept up to date by it. Empty: it stays as it is."""
    memory_mb: int = 160
    """Under systemd each of its processes is ended beyond so much, and started again. A small one takes 40, most of
    it Python; three of 160 fit a device with 512 MB as bounds, not as what they use."""
    cpu_percent: int = 100
    """Under systemd each of its processes gets at most so much; 100 is one core, and a Pi has four."""

    def __post_init__(self) -> None:
        if not 32 <= self.memory_mb <= 65_536:
            raise ValueError("memory_mb is between 32 and 65536")
        if not 1 <= self.cpu_percent <= 6_400:
            raise ValueError("cpu_percent is between 1 and 6400; 100 is one core")
        if not 1 <= self.replicas <= 64:
            raise ValueError("replicas is between 1 and 64")
        if self.key and self.replicas == 1:
            raise ValueError("a key needs replicas to choose between: set replicas to 2 or more")
        if self.ota and self.replicas > 1:
            raise ValueError("ota is for models with one process: leave replicas out")

    @property
    def numbers(self) -> tuple[int, ...]:
        """Its replicas as they are counted; a single process has no number, which is 0."""
        return tuple(range(1, self.replicas + 1)) if self.replicas > 1 else (0,)


class TaskSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of decision with its own topics, models and schedule."""

    schedule: str
    """Schedule file (TOML). Its SLA is also the deadline that the cameras put into their requests."""
    models: dict[str, ModelSettings] = field(default_factory=dict)
    rendezvous: ServerSettings = field(default_factory=ServerSettings)
    state: dict[str, StateValue] = field(default_factory=dict)
    """External state that the injector adds to every request, by name."""


class CameraSection(CameraSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One camera: what it is (`CameraSettings`), which task its pictures are for, and its motion and capture."""

    task: str
    motion: MotionSettings = field(default_factory=MotionSettings)
    capture: CaptureSettings = field(default_factory=CaptureSettings)


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything. Made by `load`, which has also made the paths absolute."""

    node: NodeSettings
    broker: BrokerSettings = field(default_factory=BrokerSettings)
    mosquitto: DeviceBrokerSettings = field(default_factory=DeviceBrokerSettings)
    tasks: dict[str, TaskSettings] = field(default_factory=dict)
    cameras: dict[str, CameraSection] = field(default_factory=dict)
    archive: ArchiveSettings = field(default_factory=ArchiveSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    privacy: PrivacySettings | None = None
    """Pictures that show people stay on the device, where this section is there."""
    alerts: AlertSettings = field(default_factory=AlertSettings)
    notify: NotifySettings | None = None
    """Notices to people's own services, where this section is there."""
    discovery: DiscoverySettings | None = None
    """Home Assistant finds the device, where this section is there (an empty one will do)."""
    proxy: ProxySettings | None = None
    """HTTP in front of the tasks, where this section is there (an empty one will do)."""
    traces: TraceSettings = field(default_factory=TraceSettings)
    analytics: AnalyticsSettings = field(default_factory=AnalyticsSettings)
    gateway: GatewaySettings | None = None
    """The gateway to the centre, where this section is there (an empty one reaches a centre on this machine)."""
    ota: OtaSettings | None = None
    """The OTA agent, where this section is there."""
    feed: FeedSettings | None = None
    """The public feed, where this section is there (an empty one sends nothing, and makes the page)."""
    desk: DeskSettings = field(default_factory=DeskSettings)
    page: PageSettings | None = None
    """The device's own web page, where this section is there (an empty one will do)."""
    units: UnitSettings = field(default_factory=UnitSettings)

    @property
    def lines(self) -> tuple[Line, ...]:
        """The models that are kept up to date."""
        return tuple(
            Line(task, model, section.ota)
            for task, part in self.tasks.items()
            for model, section in part.models.items()
            if section.ota
        )

    @property
    def topics(self) -> NodeTopics:
        """The device's topics."""
        return NodeTopics(self.node.name, self.broker.base)

    @property
    def layout(self) -> "DataLayout":
        """Where the device keeps what."""
        return DataLayout(Path(self.node.data))

    def task_topics(self, task: str) -> TaskTopics:
        """Topics of one task."""
        return self.topics.task(task)

    def camera_topics(self, camera: str) -> CameraTopics:
        """Topics of one camera."""
        return self.topics.camera(camera)


@dataclass(frozen=True, slots=True)
class DataLayout:
    """What lies where below the data folder; every role asks here, so that all agree."""

    data: Path

    @property
    def frames(self) -> Path:
        """Frames as captured, content-addressed; the archive adopts from here by hard link."""
        return self.data / "frames"

    @property
    def proxy_frames(self) -> Path:
        """Which of them came by HTTP: second names of the same files, for the proxy's budget."""
        return self.data / "proxy" / "frames"

    def archive(self, task: str) -> Path:
        """The decoy's archive of one task."""
        return self.data / "archive" / task

    def requests(self, camera: str) -> Path:
        """Durable request log of one camera (SQLite)."""
        return self.data / "requests" / f"{camera}.db"

    def motion_log(self, camera: str) -> Path:
        """Why there was no event before one camera (SQLite)."""
        return self.data / "motion" / f"{camera}.db"

    def rolls(self, camera: str) -> Path:
        """Pictures from before, during and after the events of one camera."""
        return self.data / "rolls" / camera

    def journal(self, task: str) -> Path:
        """The rendezvous' answers, written before they are published."""
        return self.data / "journal" / task

    @property
    def outbox(self) -> Path:
        """The alerts' own durable outbox (SQLite)."""
        return self.data / "alerts.db"

    @property
    def notices(self) -> Path:
        """Notices on their way to people's services (SQLite)."""
        return self.data / "notices.db"

    @property
    def switches(self) -> Path:
        """How people left the cameras' switches."""
        return self.data / "switches"

    @property
    def traces(self) -> Path:
        """The monitor's traces (SQLite)."""
        return self.data / "traces.db"

    @property
    def analytics(self) -> Path:
        """What the monitor knows of what is normal: windows, readings, alarms (SQLite)."""
        return self.data / "analytics"

    @property
    def features(self) -> Path:
        """The newest look at each model's inputs (`roost_edge.feature_reports`)."""
        return self.data / "features"

    @property
    def bundles(self) -> Path:
        """Where bundles that came as one file are unpacked."""
        return self.data / "bundles"

    @property
    def gateway(self) -> Path:
        """What waits for the centre (SQLite)."""
        return self.data / "gateway.db"

    @property
    def ota(self) -> Path:
        """What the OTA agent brought, and how its lines stand."""
        return self.data / "ota"

    @property
    def feed(self) -> Path:
        """The feed's memory (SQLite), its dry run and, unless the settings put it elsewhere, its site."""
        return self.data / "feed"

    @property
    def page(self) -> Path:
        """What the page keeps: its password, corrections that wait, a proposal for the settings."""
        return self.data / "page"

    @property
    def page_password(self) -> Path:
        """Hash of the page's password; its owner's alone."""
        return self.page / "password"

    def handover(self, task: str) -> Path:
        """Where roles of a task that hand over write what their successors must know."""
        return self.data / "handover" / task

    def slot(self, role: str) -> Path:
        """Which process of a role that can hand over is in charge (see `roost_edge.processes.slots`)."""
        return self.data / "slots" / role

    @property
    def identity(self) -> Path:
        """Key, certificate, trust bundle (see `roost_edge.enrolment.folder`)."""
        return self.data / "identity"

    @property
    def control(self) -> Path:
        """The supervisor's socket."""
        return self.data / "supervisor.sock"

    def internal_state(self, role: str) -> Path:
        """What one model knows from earlier requests."""
        return self.data / "internal-state" / role

    def session(self, role: str) -> Path:
        """Counter of one role's sessions."""
        return self.data / "sessions" / role

    def log(self, role: str) -> Path:
        """What a role that the supervisor runs has said."""
        return self.data / "logs" / f"{role}.log"
