"""From a TOML file to `Settings`, with file, line, field and remedy when it cannot be."""

import tomllib
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from roost_broker.errors import Misuse
from roost_broker.toml_lines import LineMap
from roost_edge.settings.device import Settings
from roost_edge.settings.explain import SettingsError, explain, explain_refusal
from roost_edge.settings.node_name import with_node_name
from roost_edge.settings.rules import disagreements
from roost_rendezvous import schedule

MAX_FILE_BYTES = 1_000_000


def load(path: Path, *, unnamed: str = "", text: str | None = None) -> Settings:
    """Read a settings file. Raises `SettingsError` with file, line, field and remedy.

    `unnamed`: the name of a device whose settings say "@identity" and that has not enrolled yet (an image's tree).
    `text`: read this as if it stood in the file.
    """
    document, lines = read_document(path, text)
    try:
        settings = msgspec.convert(document, Settings)
    except msgspec.ValidationError as error:
        raise explain(error, document, Settings, path, lines) from error
    except Misuse as error:
        raise explain_refusal(error, document, Settings, path, lines) from error
    settings = with_node_name(settings, path, lines, unnamed)
    for fault in disagreements(settings):
        raise SettingsError(path, lines.line(fault.where), ".".join(fault.where), fault.problem, fault.remedy)
    return _with_deadlines(_with_absolute_paths(settings, path.resolve().parent), document)


def read_document(path: Path, instead: str | None = None) -> tuple[dict[str, Any], LineMap]:
    """The TOML as it stands (or `instead`), and where its keys are. Raises `SettingsError`."""
    try:
        data = path.read_bytes() if instead is None else instead.encode(errors="surrogateescape")
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
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, lists 1,000 deep
        raise SettingsError(path, 1, "", f"this cannot be read: {error}.", "Is it the right file?") from error


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
            state={
                value: structs.replace(section, file=absolute(section.file)) if section.file else section
                for value, section in task.state.items()
            },
        )
        for name, task in settings.tasks.items()
    }
    cameras = {
        name: structs.replace(camera, path=absolute(camera.path)) if camera.path else camera
        for name, camera in settings.cameras.items()
    }
    node = structs.replace(settings.node, data=absolute(settings.node.data))
    ota = settings.ota
    if ota is not None:
        ota = structs.replace(
            ota,
            registry=ota.registry if "://" in ota.registry else absolute(ota.registry),
            root=absolute(ota.root),
            ca_file=absolute(ota.ca_file) if ota.ca_file else "",
            sticks=tuple(absolute(stick) for stick in ota.sticks),
        )
    feed = settings.feed
    if feed is not None:
        found = {name: absolute(path) for name in ("keys", "site_folder") if (path := getattr(feed, name))}
        feed = structs.replace(feed, **found)
    gateway = settings.gateway
    if gateway is not None:
        files = ("ca", "certificate", "key", "credentials", "password_file")
        found = {name: absolute(path) for name in files if (path := getattr(gateway.centre, name))}
        gateway = structs.replace(gateway, centre=structs.replace(gateway.centre, **found))
    secrets = ("passwords", "ca", "certificate", "key")
    broker = structs.replace(
        settings.broker, **{name: absolute(path) for name in secrets if (path := getattr(settings.broker, name))}
    )
    own = settings.mosquitto
    mosquitto = structs.replace(own, files=absolute(own.files), folder=absolute(own.folder) if own.folder else "")
    page = settings.page
    if page is not None:
        found = {name: absolute(path) for name in ("tls_certificate", "tls_key") if (path := getattr(page, name))}
        page = structs.replace(page, **found)
    notify = settings.notify
    if notify is not None:
        notify = structs.replace(notify, urls=absolute(notify.urls))
    changed = {"node": node, "tasks": tasks, "cameras": cameras, "gateway": gateway, "ota": ota, "feed": feed}
    return structs.replace(settings, **changed, broker=broker, mosquitto=mosquitto, notify=notify, page=page)
