"""A bundle from the registry into a store: what its manifest must say, what is held already, what has to travel."""

import shutil
from collections.abc import Callable
from pathlib import Path

from roost_broker.errors import Malformed
from roost_models.bundle.folder import Bundle
from roost_models.bundle.manifest import FileEntry, Manifest, digest_of, parse
from roost_models.registry.downloading import FileDownload, Pace, Progress
from roost_models.registry.errors import NoRoom, RegistryRefused
from roost_models.registry.limits import Limits
from roost_models.registry.sources import Source
from roost_models.registry.store import BundleStore

Have = Callable[[str], Path | None]
"""Where this device has a file with this SHA-256, outside the store; None: nowhere."""


def checked_manifest(
    data: bytes | None, asked: tuple[str, str, str], digest: str | None, limits: Limits
) -> Manifest | None:
    """The manifest of the bundle that was asked for (task, name, version), and of no other. None for None.

    It is signed, but by whom may sign any bundle of the task: so it must say itself that it is this one.
    Raises `RegistryRefused`.
    """
    if data is None:
        return None
    try:
        manifest = parse(data)
    except Malformed as error:
        raise RegistryRefused("malformed", error.problem, error.remedy) from error
    task, name, version = asked
    says = (manifest.task, manifest.name, manifest.version)
    if says != asked:
        raise RegistryRefused(
            "malformed",
            f"What is published as {name} {version} of {task} says that it is {says[1]} {says[2]} of {says[0]}.",
        )
    if digest is not None and digest_of(data) != digest:
        raise RegistryRefused(
            "altered",
            f"{name} {version} has the digest {digest_of(data)[:12]}…; {digest[:12]}… is wanted.",
            "A version is published once; give the new content a new version.",
        )
    size = sum(entry.bytes for entry in manifest.files.values())
    if size > limits.bundle_bytes:
        raise RegistryRefused("endless", f"{name} {version} has {size} bytes; {limits.bundle_bytes} are allowed here.")
    return manifest


class BundleFetch:
    """Brings the files of one bundle together."""

    def __init__(
        self,
        source: Source,
        store: BundleStore,
        limits: Limits,
        *,
        have: Have | None,
        progress: Callable[[Progress], None] | None,
        stop: Callable[[], bool],
    ) -> None:
        self._source = source
        self._store = store
        self._limits = limits
        self._have = have
        self._progress = progress
        self._stop = stop
        self._done = self._total = self._bytes_held = 0

    def run(self, data: bytes, manifest: Manifest, pace: Pace) -> Bundle:
        """The bundle of this manifest, verified. Raises as `RegistryReader.fetch`."""
        found = self._store.open(digest_of(data))
        if found is not None:
            return found
        wanted = {entry.sha256: entry for entry in manifest.files.values()}
        files = {sha256: path for sha256, entry in wanted.items() if (path := self._held(entry)) is not None}
        missing = [entry for sha256, entry in wanted.items() if sha256 not in files]
        self._total = sum(entry.bytes for entry in missing)
        self._bytes_held = sum(entry.bytes for entry in wanted.values()) - self._total
        self._check_room(missing)
        download = FileDownload(self._source, self._store, pace=pace, stop=self._stop, told=self._told)
        for entry in missing:
            files[entry.sha256] = download.fetch(entry)
            self._done += entry.bytes
        self._told("", 0, 0)
        return self._store.assemble(data, manifest, files)

    def _held(self, entry: FileEntry) -> Path | None:
        """The file in the store, taken over from elsewhere if need be."""
        found = self._store.file(entry.sha256, entry.bytes)
        if found is None and self._have is not None and (elsewhere := self._have(entry.sha256)) is not None:
            found = self._store.adopt(entry.sha256, elsewhere)
        return found

    def _check_room(self, missing: list[FileEntry]) -> None:
        here = (self._store.part(entry.sha256) for entry in missing)
        needed = self._total - sum(part.stat().st_size for part in here if part.exists())
        free = shutil.disk_usage(self._store.root).free if missing else self._limits.reserve_bytes
        if free - needed < self._limits.reserve_bytes:
            raise NoRoom(
                f"{needed} bytes are to come, {self._limits.reserve_bytes} must stay free, and {free} are free.",
                "Free some space on the data partition.",
            )

    def _told(self, sha256: str, here: int, resumed: int) -> None:
        if self._progress is not None:
            self._progress(
                Progress(file=sha256, done=self._done + here, total=self._total, resumed=resumed, held=self._bytes_held)
            )
