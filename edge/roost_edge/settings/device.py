"""All settings of one device in one TOML file: `load` reads it, and says line and remedy when it cannot.

    [node]                       name, data folder, QA
    [broker]                     where Mosquitto listens
    [tasks.<task>]               its schedule (which holds the SLA) and its rendezvous
    [tasks.<task>.models.<name>] which bundle
    [cameras.<name>]             task and source; [cameras.<name>.motion], [cameras.<name>.capture]
    [archive]  [alerts]          budgets; when a result is news

Relative paths are relative to the folder of the settings file, not to where a command is run. A setting that is not
known is an error, not a comment: a misspelt one would otherwise silently do nothing. Each part's struct lives beside
the code it is for; this module only composes them, and imports no heavy library (the rendezvous reads it too).
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct, field, structs

from roost_broker.errors import Misuse
from roost_broker.settings import BrokerSettings
from roost_broker.topics import CameraTopics, NodeTopics, TaskTopics
from roost_edge.alerts.settings import AlertSettings
from roost_edge.capture.settings import CaptureSettings
from roost_edge.motion.settings import MotionSettings
from roost_edge.settings.explain import SettingsError, explain, explain_refusal
from roost_edge.settings.lines import LineMap
from roost_edge.settings.rules import disagreements
from roost_edge.sources.settings import CameraSettings
from roost_models.archive.settings import ArchiveSettings
from roost_rendezvous import schedule
from roost_rendezvous.server.settings import ServerSettings

MAX_FILE_BYTES = 1_000_000


class NodeSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The device itself."""

    name: str
    """Its level in every topic: letters, digits, '-' and '_'."""
    data: str = "roost-data"
    """Folder of everything that is kept: frames, archive, request logs, journals, logs."""
    qa: bool = False
    """Allow what must never happen by accident: injected faults, and overrides of the schedule by a request."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class ModelSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model of a task. Whether its answers count is the schedule's business, not this file's."""

    bundle: str
    """A bundle: a folder, or a single `.roost` file."""


class TaskSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of decision with its own topics, models and schedule."""

    schedule: str
    """Schedule file (TOML). Its SLA is also the deadline that the cameras put into their requests."""
    models: dict[str, ModelSettings] = field(default_factory=dict)
    rendezvous: ServerSettings = field(default_factory=ServerSettings)


class CameraSection(CameraSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One camera: what it is (`CameraSettings`), which task its pictures are for, and its motion and capture."""

    task: str
    motion: MotionSettings = field(default_factory=MotionSettings)
    capture: CaptureSettings = field(default_factory=CaptureSettings)


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything. Made by `load`, which has also made the paths absolute."""

    node: NodeSettings
    broker: BrokerSettings = field(default_factory=BrokerSettings)
    tasks: dict[str, TaskSettings] = field(default_factory=dict)
    cameras: dict[str, CameraSection] = field(default_factory=dict)
    archive: ArchiveSettings = field(default_factory=ArchiveSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)

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

    def archive(self, task: str) -> Path:
        """The decoy's archive of one task."""
        return self.data / "archive" / task

    def requests(self, camera: str) -> Path:
        """Durable request log of one camera (SQLite)."""
        return self.data / "requests" / f"{camera}.db"

    def journal(self, task: str) -> Path:
        """The rendezvous' answers, written before they are published."""
        return self.data / "journal" / task

    @property
    def outbox(self) -> Path:
        """The alerts' own durable outbox (SQLite)."""
        return self.data / "alerts.db"

    @property
    def bundles(self) -> Path:
        """Where bundles that came as one file are unpacked."""
        return self.data / "bundles"

    def session(self, role: str) -> Path:
        """Counter of one role's sessions."""
        return self.data / "sessions" / role

    def log(self, role: str) -> Path:
        """What a role that the supervisor runs has said."""
        return self.data / "logs" / f"{role}.log"


def load(path: Path) -> Settings:
    """Read a settings file. Raises `SettingsError` with file, line, field and remedy."""
    document, lines = read_document(path)
    try:
        settings = msgspec.convert(document, Settings)
    except msgspec.ValidationError as error:
        raise explain(error, document, Settings, path, lines) from error
    except Misuse as error:
        raise explain_refusal(error, document, Settings, path, lines) from error
    for fault in disagreements(settings):
        raise SettingsError(path, lines.line(fault.where), ".".join(fault.where), fault.problem, fault.remedy)
    return _with_deadlines(_with_absolute_paths(settings, path.resolve().parent), document)


def read_document(path: Path) -> tuple[dict[str, Any], LineMap]:
    """The TOML as it stands, and where its keys are. Raises `SettingsError`."""
    try:
        data = path.read_bytes()
        if len(data) > MAX_FILE_BYTES:
            raise SettingsError(
                path,
                1,
                "",
                f"the file has {len(data)} bytes.",
                f"Settings are below {MAX_FILE_BYTES}; is it the right file?",
            )
        text = data.decode("utf-8").replace("\r\n", "\n")
        return tomllib.loads(text), LineMap(text)
    except OSError as error:
        raise Misuse(
            f"Settings file {path} cannot be read: {error.strerror}.",
            "Name a file that exists; `roost config example` prints one to begin with.",
        ) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SettingsError(path, line, "", "this is not UTF-8.", "Save the file as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(error, path, text) from error


def _syntax_error(error: tomllib.TOMLDecodeError, path: Path, text: str) -> SettingsError:
    # Python 3.14 gives `lineno`; before that the sentence alone has it.
    sentence, _, place = str(error).rpartition(" (at ")
    digits = "".join(character if character.isdigit() else " " for character in place).split()
    line = int(digits[0]) if digits else text.count("\n") + 1
    return SettingsError(
        path,
        line,
        "",
        f"this is not TOML: {(sentence or str(error)).rstrip('.').lower()}.",
        "Texts need quotes, tables are [in.brackets], and each key stands once.",
    )


def _with_deadlines(settings: Settings, document: dict[str, Any]) -> Settings:
    """A camera whose `capture.deadline_ms` is not written asks for an answer within the SLA of its task's schedule."""
    cameras = dict(settings.cameras)
    for name, camera in cameras.items():
        if "deadline_ms" in document["cameras"][name].get("capture", {}):
            continue
        try:
            sla_ms = schedule.load(Path(settings.tasks[camera.task].schedule)).sla_ms
        except Misuse:
            continue  # a model or a decoy can do without; the rendezvous, the camera and `config check` complain
        cameras[name] = structs.replace(camera, capture=structs.replace(camera.capture, deadline_ms=sla_ms))
    return structs.replace(settings, cameras=cameras)


def _with_absolute_paths(settings: Settings, folder: Path) -> Settings:
    def absolute(path: str) -> str:
        return str((folder / Path(path).expanduser()).absolute())

    tasks = {
        name: structs.replace(
            task,
            schedule=absolute(task.schedule),
            models={
                model: structs.replace(section, bundle=absolute(section.bundle))
                for model, section in task.models.items()
            },
        )
        for name, task in settings.tasks.items()
    }
    cameras = {
        name: structs.replace(camera, path=absolute(camera.path)) if camera.path else camera
        for name, camera in settings.cameras.items()
    }
    node = structs.replace(settings.node, data=absolute(settings.node.data))
    return structs.replace(settings, node=node, tasks=tasks, cameras=cameras)
