"""The targets on disk: manifests, roll-out documents and the files of bundles, each under the digest of its content."""

import os
import shutil
from collections.abc import Collection
from pathlib import Path

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import TargetFile

from roost_broker.durable import make_folder, rename_durably, write_durably
from roost_broker.errors import Malformed
from roost_models.bundle.folder import Bundle
from roost_models.registry import layout
from roost_models.registry.store import sha256_of


class TargetFiles:
    """Everything below `public/targets`."""

    def __init__(self, public: Path) -> None:
        self._public = public

    def document_path(self, info: TargetFile) -> Path:
        """Where a manifest or roll-out document lies."""
        return self._public / layout.target_path(info.path, info.hashes["sha256"])

    def document(self, info: TargetFile) -> bytes:
        """Its bytes, verified. Raises `Malformed`."""
        path = self.document_path(info)
        try:
            data = path.read_bytes()
            info.verify_length_and_hashes(data)
        except (OSError, LengthOrHashMismatchError) as error:
            raise Malformed(f"{path} is not what was signed: {error}.", "Restore it from a backup.") from error
        return data

    def add_document(self, info: TargetFile, data: bytes) -> None:
        """Put it there, durably."""
        write_durably(self.document_path(info), data)

    def add_bundle(self, bundle: Bundle) -> tuple[int, int]:
        """Put the files of a verified bundle there, durably; returns how many were new, and their bytes."""
        count = size = 0
        for path, entry in sorted(bundle.manifest.files.items()):
            target = self._public / layout.file_path(entry.sha256)
            if target.exists() and target.stat().st_size == entry.bytes and sha256_of(target) == entry.sha256:
                continue
            _copy_durably(bundle.root / path, target, entry.sha256)
            count += 1
            size += entry.bytes
        return count, size

    def sweep(self, manifests: Collection[TargetFile], files: Collection[str]) -> None:
        """Remove manifests and files of bundles other than these."""
        kept = {self.document_path(info) for info in manifests}
        bundles = self._public / "targets" / "bundles"
        for path in [one for one in bundles.rglob("*.bundle.json") if one not in kept]:
            path.unlink()
        for path in (self._public / "targets" / "files").glob("*"):
            if path.name not in files and not path.name.startswith("."):
                path.unlink()

    def prune_documents(self, in_force: Collection[TargetFile], kept: int) -> None:
        """Remove superseded roll-out documents but the newest `kept` of each line."""
        for info in in_force:
            current = self.document_path(info)
            name = info.path.rpartition("/")[2]
            found = sorted(current.parent.glob(f"*.{name}"), key=lambda one: one.stat().st_mtime_ns)
            for old in found[:-kept]:
                if old != current and len(old.name) == len(current.name):
                    old.unlink(missing_ok=True)


def _copy_durably(source: Path, target: Path, sha256: str) -> None:
    """Copy, check what was copied, give it its name."""
    make_folder(target.parent)
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with source.open("rb") as reading, beside.open("wb") as writing:
            shutil.copyfileobj(reading, writing, 1 << 20)
        if sha256_of(beside) != sha256:
            raise Malformed(f"{source} changed while it was copied.", "Publish it again.")
        rename_durably(beside, target)
    finally:
        beside.unlink(missing_ok=True)
