"""Is this settings file one that a device can run on? Everything that can be known without starting a role.

`loading.load` says whether the file itself is right; this also opens what it names: schedules, bundles, pictures,
the data folder, the disk. Nothing of a bundle is run, and nothing is left behind.
"""

import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Literal, TypeAlias

from msgspec import Struct

from roost_broker.errors import Misuse, RoostError
from roost_broker.toml_lines import LineMap
from roost_edge.broker_setup.users import users
from roost_edge.feed import keys
from roost_edge.processes.plan import plan
from roost_edge.settings.device import Settings, TaskSettings
from roost_edge.settings.explain import SettingsError
from roost_edge.settings.loading import load, read_document
from roost_models.bundle.environment import check_environment
from roost_models.bundle.opening import open_bundle
from roost_rendezvous import schedule
from roost_rendezvous.schedule import doubts

Level: TypeAlias = Literal["error", "warning"]
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

LEAST_FREE_BYTES = 500_000_000
"""Less than this on the data folder's disk is worth a warning, whatever the budgets say."""


class Finding(Struct, frozen=True, kw_only=True):
    """One thing to mend (`error`: it will not run) or to know of (`warning`)."""

    level: Level
    line: int
    field: str
    """Dotted path in the settings; empty for the file as a whole."""
    problem: str
    remedy: str


def check(path: Path, *, text: str | None = None) -> list[Finding]:
    """All findings, in the order of the file; empty when all is well. `text` is looked at as if it stood there."""
    try:
        settings = load(path, text=text)
        _, lines = read_document(path, text)
    except SettingsError as error:
        return [_finding("error", error.line, error.field, error.cause, error.remedy)]
    except RoostError as error:
        return [_finding("error", 1, "", error.problem, error.remedy)]
    return sorted(_Checks(path, settings, lines).all(), key=lambda finding: finding.line)


def _finding(level: Level, line: int, field: str, problem: str, remedy: str) -> Finding:
    return Finding(level=level, line=line, field=field, problem=problem, remedy=remedy)


def _is_there(path: Path) -> bool:
    """Also where this user may not look."""
    try:
        return path.exists()
    except PermissionError:
        return True


class _Checks:
    def __init__(self, path: Path, settings: Settings, lines: LineMap) -> None:
        self._path = path
        self._settings = settings
        self._lines = lines

    def all(self) -> Iterator[Finding]:
        yield from self._file()
        yield from self._broker()
        yield from self._roles()
        for name, task in self._settings.tasks.items():
            yield from self._schedule(name, task)
            yield from self._bundles(name, task)
        yield from self._cameras()
        yield from self._registry()
        yield from self._feed()
        yield from self._data()

    def _say(self, level: Level, where: tuple[str, ...], problem: str, remedy: str) -> Finding:
        return _finding(level, self._lines.line(where), ".".join(where), problem, remedy)

    def _file(self) -> Iterator[Finding]:
        if self._settings.broker.password and self._path.stat().st_mode & stat.S_IROTH:
            yield self._say(
                "warning",
                ("broker", "password"),
                "this file holds a password and everybody on this machine can read it.",
                f"chmod o-r {self._path}",
            )

    def _broker(self) -> Iterator[Finding]:
        """Passwords and certificates: made on the device, so where settings are only written they may be missing."""
        broker = self._settings.broker
        if broker.passwords and not _is_there(Path(broker.passwords)):
            yield self._say(
                "warning",
                ("broker", "passwords"),
                f"there is no folder {broker.passwords}; without it no role can connect.",
                "On the device, as root: roost broker setup.",
            )
        for name in ("ca", "certificate", "key"):
            path = getattr(broker, name)
            if path and not _is_there(Path(path)):
                yield self._say("warning", ("broker", name), f"there is no file {path}.", "Bring a PEM file there.")
        if (broker.password or broker.passwords) and not broker.ca and broker.host not in _LOOPBACK:
            yield self._say(
                "warning",
                ("broker", "host"),
                f"the password goes to {broker.host} over the network, readable for everybody on the way.",
                "Use TLS: broker.port of the listener outside, broker.ca and a certificate (docs/broker.md).",
            )
        if broker.passwords:
            try:
                users(self._settings)
            except RoostError as error:
                yield self._say("error", ("mosquitto",), error.problem, error.remedy)

    def _roles(self) -> Iterator[Finding]:
        try:
            plan(self._settings)
        except RoostError as error:
            yield self._say("error", ("tasks",), error.problem, error.remedy)
        if not self._settings.tasks:
            yield self._say("warning", (), "there are no tasks, so there is nothing to run.", "Add a [tasks.…] table.")
        watched = {camera.task for camera in self._settings.cameras.values()}
        for task in self._settings.tasks:
            if task not in watched:
                yield self._say(
                    "warning", ("tasks", task), "no camera asks this task.", "Fine when requests come from elsewhere."
                )

    def _schedule(self, name: str, task: TaskSettings) -> Iterator[Finding]:
        where = ("tasks", name, "schedule")
        try:
            agreed = schedule.load(Path(task.schedule))
        except RoostError as error:
            yield self._say("error", where, error.problem, error.remedy)
            return
        if agreed.task != name:
            yield self._say(
                "error",
                where,
                f"the schedule is for the task {agreed.task!r}, not {name!r}.",
                f'Write `task = "{name}"` in the schedule, or rename the task here.',
            )
        named = doubts.places(agreed)
        for model, places in named.items():
            if model not in task.models and places != ["ignore"]:  # to ignore somebody who is not there hurts nobody
                yield self._say(
                    "warning",
                    where,
                    f"the schedule names {model!r} ({', '.join(places)}), which is no model of this task.",
                    f"Add [tasks.{name}.models.{model}], or take it out of the schedule.",
                )
        everything = any(schedule.ANY in step.accept for step in agreed.steps)
        for model in task.models:
            if not everything and model not in named:
                yield self._say(
                    "warning",
                    ("tasks", name, "models", model),
                    "the schedule neither accepts nor ignores this model.",
                    "Name it in a step's `accept`, or in `ignore` if it is a canary.",
                )

    def _bundles(self, name: str, task: TaskSettings) -> Iterator[Finding]:
        if not task.models:
            yield self._say(
                "warning",
                ("tasks", name),
                "the task has no models: every answer will be the default.",
                f"Add a [tasks.{name}.models.…] table.",
            )
        for model, section in task.models.items():
            where = ("tasks", name, "models", model, "bundle")
            try:
                with TemporaryDirectory() as cache:  # a check leaves nothing behind
                    bundle = open_bundle(Path(section.bundle), cache=Path(cache))
                check_environment(bundle.manifest)
            except RoostError as error:
                yield self._say("error", where, error.problem, error.remedy)
                continue
            if section.replicas > 1 and not section.key and not bundle.manifest.pure:
                yield self._say(
                    "error",
                    ("tasks", name, "models", model, "replicas"),
                    "this model remembers what it has seen, and of its replicas each would see something else.",
                    'Add a key, such as `key = "camera"`: then each camera stays with one of them.',
                )
            if bundle.manifest.task and bundle.manifest.task != name:
                yield self._say(
                    "warning",
                    where,
                    f"the bundle was made for the task {bundle.manifest.task!r}.",
                    "Fine when its labels suit this task too.",
                )

    def _cameras(self) -> Iterator[Finding]:
        for name, camera in self._settings.cameras.items():
            where = ("cameras", name, "path")
            if camera.source == "video" and not Path(camera.path).is_file():
                yield self._say("error", where, f"there is no file {camera.path}.", "Name a video file.")
            if camera.source == "folder" and not Path(camera.path).is_dir():
                yield self._say("error", where, f"there is no folder {camera.path}.", "Name a folder of pictures.")

    def _registry(self) -> Iterator[Finding]:
        ota = self._settings.ota
        if ota is None:
            return
        if not Path(ota.root).is_file():
            yield self._say(
                "error",
                ("ota", "root"),
                f"there is no file {ota.root}.",
                "Bring the registry's public/metadata/1.root.json there.",
            )
        if "://" not in ota.registry and not Path(ota.registry, "metadata").is_dir():
            yield self._say(
                "warning",
                ("ota", "registry"),
                f"there is no registry in {ota.registry}.",
                "Name the address of the folder `public` of a registry (https://…), or the folder itself.",
            )

    def _feed(self) -> Iterator[Finding]:
        feed = self._settings.feed
        if feed is None or not feed.keys:
            return
        where = ("feed", "keys")
        try:
            if not keys.check(Path(feed.keys)):
                yield self._say("warning", where, f"there is no file {feed.keys}: nothing is sent.", "roost feed keys")
        except PermissionError:
            return  # its folder is another's; the feed is handed the file
        except Misuse as error:
            yield self._say("error", where, error.problem, error.remedy)

    def _data(self) -> Iterator[Finding]:
        where = ("node", "data")
        folder = self._settings.layout.data
        place = next((parent for parent in (folder, *folder.parents) if parent.exists()), Path("/"))
        try:
            with TemporaryFile(dir=place):
                pass
        except OSError:
            yield self._say(
                "error",
                where,
                f"{place} cannot be written to by this user.",
                "Name another folder, or give this user the right to write there.",
            )
            return
        free = shutil.disk_usage(place).free
        if free < LEAST_FREE_BYTES:
            yield self._say(
                "warning",
                where,
                f"only {free // 1_000_000} MB are free on the disk of {place}.",
                "Make room, or lower archive.budget_mb and capture.frames_budget_mb.",
            )
