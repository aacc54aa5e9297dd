"""The registry as a device sees it. Rules, in this order:

1. Nothing is believed that a chain of signatures does not lead to from the trusted root that the device was given.
2. Nothing older than what was seen before is accepted, even when the cache was lost (`floor`).
3. Everything has a ceiling: bytes, seconds, roles, roots (`limits`).
4. The cache may always be thrown away: it is rebuilt from the trusted root. A damaged one bricks nothing.
5. A bundle is the one asked for only when its manifest says so too (task, name, version, digest).
6. A file is kept under its name only when its length and digest were checked and it is on the disk.

What it does not do: decide which bundle a device should have (that is the roll-out), run anything of a bundle, or wait
and try again (that is the agent). Calls block; an agent makes them in a thread. One reader at a time uses a cache.
"""

import datetime
import hashlib
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from roost_broker.durable import write_durably
from roost_broker.errors import Malformed, Misuse
from roost_models.bundle.folder import Bundle
from roost_models.registry import layout
from roost_models.registry.bundle_fetch import BundleFetch, Have, checked_manifest
from roost_models.registry.client import TrustedView
from roost_models.registry.downloading import Pace, Progress
from roost_models.registry.errors import RegistryRefused, RegistryUnreachable
from roost_models.registry.floor import FloorFiles
from roost_models.registry.limits import Limits
from roost_models.registry.sources import open_source
from roost_models.registry.store import BundleStore
from roost_models.rollout.document import Rollout
from roost_models.rollout.document import parse as parse_rollout

_LOG = logging.getLogger(__name__)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class Candidate(Struct, frozen=True, kw_only=True):
    """One bundle that is published for a task."""

    name: str
    version: str
    digest: str
    """The bundle's; empty when the registry does not say."""


class RegistryReader:
    """See the module.

    `location` is an http(s) address or a folder (a stick); `cache` a folder of its own on the data partition;
    `trusted_root` the bytes of the root metadata that the device was given. `clock` says the time (UTC).
    """

    def __init__(
        self,
        location: str,
        cache: Path,
        trusted_root: bytes,
        *,
        limits: Limits | None = None,
        ca_file: Path | None = None,
        clock: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC),
    ) -> None:
        self._limits = limits or Limits()
        self._source = open_source(location, self._limits, ca_file=ca_file)
        self._location = location
        self._cache = cache
        self._metadata = cache / "metadata"
        self._documents = cache / "documents"
        self._root = trusted_root
        self._clock = clock
        self._view: TrustedView | None = None
        self.notes: list[str] = []
        """What an operator should hear of: a cache that was rebuilt, a floor that was lost. The newest twenty."""

    @property
    def versions(self) -> dict[str, int]:
        """Versions of root, timestamp and snapshot in the state that `refresh` found; empty before."""
        if self._view is None:
            return {}
        seen = self._view.seen()
        return {"root": seen.root, "timestamp": seen.timestamp, "snapshot": seen.snapshot}

    def refresh(self) -> None:
        """Look at the registry anew. Raises `RegistryUnreachable`, `RegistryRefused` (see `errors.Reason`).

        After a failure the reader knows nothing until a refresh succeeds; the cache and the floor stay.
        """
        self._view = None
        try:
            view = self._refreshed()
        except OSError as error:
            self._rebuild(f"the cache of the registry could not be used ({error})")
            view = self._refreshed()
        self._view = view

    def rollout(self, task: str, name: str) -> Rollout | None:
        """The roll-out document of a line; None when there is none. Raises as `refresh`, and for a senseless one."""
        data = self.document(layout.rollout_target(task, name))
        if data is None:
            return None
        try:
            document = parse_rollout(data)
        except Malformed as error:
            raise RegistryRefused("malformed", error.problem, error.remedy) from error
        if (document.task, document.bundle.name) != (task, name):
            raise RegistryRefused(
                "malformed",
                f"The roll-out document of {task}/{name} is about {document.task}/{document.bundle.name}.",
                "Write it again at the centre.",
            )
        return document

    def manifest(self, task: str, name: str, version: str) -> bytes | None:
        """A bundle's manifest, verified; None when this version is not published."""
        return self.document(layout.bundle_target(task, name, version))

    def candidates(self, task: str) -> list[Candidate]:
        """Every bundle that is published for a task, by name and version."""
        found = self._looked().targets_of(layout.task_role(task), layout.bundle_target(task, "any", "0"))
        named = [(layout.bundle_of(path), target) for path, target in sorted(found.items())]
        return [
            Candidate(name=parts[1], version=parts[2], digest=str((target.custom or {}).get("digest", "")))
            for parts, target in named
            if parts is not None and parts[0] == task
        ]

    def fetch(
        self,
        task: str,
        name: str,
        version: str,
        store: BundleStore,
        *,
        digest: str | None = None,
        have: Have | None = None,
        progress: Callable[[Progress], None] | None = None,
        bytes_per_s: int | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Bundle:
        """The bundle, whole and verified in `store`; only files that are not held yet are downloaded.

        `digest`: the bundle must be this one. `have(sha256)` may name a file elsewhere on this device. `bytes_per_s`
        paces. `stop()` is asked between pieces. Raises as `refresh`, `Stopped` and `NoRoom`; what was downloaded by
        then is gone on with the next time, also after a restart.
        """
        data = self.manifest(task, name, version)
        manifest = checked_manifest(data, (task, name, version), digest, self._limits)
        if data is None or manifest is None:
            raise RegistryRefused(
                "not-published", f"{name} {version} of task {task} is not published.", "Publish it, or ask for another."
            )
        fetch = BundleFetch(self._source, store, self._limits, have=have, progress=progress, stop=stop)
        return fetch.run(data, manifest, Pace(bytes_per_s))

    def document(self, path: str) -> bytes | None:
        """Content of a target, verified, from the cache where it is that already; None: nobody signed it."""
        view = self._looked()
        target = view.target(path)
        if target is None:
            return None
        place = self._documents / hashlib.sha256(path.encode()).hexdigest()
        held = _read(place, self._limits.document_bytes)
        data = view.read(target, held=held)
        if data != held:
            self._keep(place, data)
        return data

    def _keep(self, place: Path, data: bytes) -> None:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            others = sorted(self._documents.iterdir(), key=lambda one: one.stat().st_mtime_ns)
            for old in others[: max(0, len(others) - self._limits.kept_documents + 1)]:
                old.unlink(missing_ok=True)
            write_durably(place, data)
        except OSError as error:  # it only saves a transfer
            self._note(f"a document could not be kept ({error})")

    def _refreshed(self) -> TrustedView:
        self._metadata.mkdir(parents=True, exist_ok=True)
        for left in self._metadata.glob("tmp*"):  # tuf's, when it was killed
            left.unlink(missing_ok=True)
        floors = FloorFiles(self._cache)
        if floors.lost:
            self._note("the record of the newest state was damaged; protection against older states begins anew")
        now = max(self._clock(), _EPOCH + datetime.timedelta(milliseconds=floors.floor.latest_ms))
        view = TrustedView(self._source, self._metadata, self._root, self._limits, now)
        try:
            view.refresh()
        except (RegistryRefused, RegistryUnreachable):
            _check(floors, view)  # the better reason, where both are true
            floors.raise_to(view.seen())
            raise
        _check(floors, view)
        floors.raise_to(msgspec.structs.replace(view.seen(), latest_ms=_milliseconds(now)))
        return view

    def _rebuild(self, why: str) -> None:
        """Throw away what can be fetched again. Never the floor."""
        self._note(f"{why}; it is built again from the trusted root")
        for folder in (self._metadata, self._documents):
            if folder.is_dir() and not folder.is_symlink():
                shutil.rmtree(folder)
            else:
                folder.unlink(missing_ok=True)

    def _note(self, text: str) -> None:
        _LOG.warning("registry %s: %s", self._location, text)
        self.notes = [*self.notes, text][-20:]

    def _looked(self) -> TrustedView:
        if self._view is None:
            raise Misuse("The registry was not looked at yet.", "Call refresh() first.")
        return self._view


def _check(floors: FloorFiles, view: TrustedView) -> None:
    behind = floors.floor.broken_by(view.seen())
    if behind:
        raise RegistryRefused(
            "rollback", f"Refused (rollback): {behind}.", "Bring the mirror or stick up to date: it is an older state."
        )


def _milliseconds(when: datetime.datetime) -> int:
    return (when - _EPOCH) // datetime.timedelta(milliseconds=1)


def _read(path: Path, most: int) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError:
        return None
