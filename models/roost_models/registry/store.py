"""Bundles on a device, content once: every file by its SHA-256, and a folder of hard links for each bundle.

* A file or a bundle's folder has its final name only when its whole content is on the disk (provisioning: ext4 does
  not flush a fresh file that is reached by a new name; so every file and folder is synced before the rename).
* What is downloaded stays in `.part` files across restarts, and is believed only after its digest was checked.
* Two bundles that share a file share its blocks: a new head of a few kB does not store the backbone again.
* On a file system without hard links (FAT) files are copied.

One process writes at a time; any number may read.
"""

import hashlib
import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from roost_broker.durable import make_folder, rename_durably, write_durably
from roost_broker.errors import Malformed, Misuse
from roost_models.bundle.folder import Bundle, open_folder
from roost_models.bundle.manifest import MANIFEST, Manifest, digest_of

_MAKING = ".making-"
_CHUNK = 1 << 20


class BundleStore:
    """A folder of bundles by digest. Made when first written to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._files = root / "files"
        self._bundles = root / "bundles"

    def folder(self, digest: str) -> Path:
        """Where a bundle with this digest lies, or would lie."""
        return self._bundles / digest

    def open(self, digest: str) -> Bundle | None:
        """The bundle, every file of it verified; None when it is not here, or not whole any more."""
        try:
            bundle = open_folder(self.folder(digest))
        except (Malformed, Misuse, OSError):
            return None
        return bundle if bundle.digest == digest else None

    def digests(self) -> list[str]:
        """Digests of the bundles that are here, sorted; not verified."""
        return sorted(path.name for path in self._bundles.glob("*") if not path.name.startswith("."))

    def file(self, sha256: str, size: int | None = None) -> Path | None:
        """A file with this content, verified; a damaged one is removed. None: not here."""
        path = self._files / sha256
        try:
            if size is not None and path.stat().st_size != size:
                raise Malformed("another length")
            if sha256_of(path) == sha256:
                return path
        except (OSError, Malformed):
            pass
        path.unlink(missing_ok=True)
        return None

    def part(self, sha256: str) -> Path:
        """Where the content with this digest grows while it is downloaded."""
        make_folder(self._files)
        return self._files / f"{sha256}.part"

    def keep(self, sha256: str, part: Path) -> Path:
        """Give a complete, verified file its name, durably. `part` must be on the same file system."""
        target = self._files / sha256
        rename_durably(part, target)
        return target

    def adopt(self, sha256: str, source: Path) -> Path | None:
        """Copy a file from elsewhere on this device; None: it is not what it should be.

        A copy, not a link: what lies elsewhere may be edited in place.
        """
        part = self.part(sha256)
        part.unlink(missing_ok=True)
        try:
            _copy(source, part)
            if sha256_of(part) == sha256:
                return self.keep(sha256, part)
        except OSError:
            pass
        part.unlink(missing_ok=True)
        return None

    def assemble(self, data: bytes, manifest: Manifest, files: Mapping[str, Path]) -> Bundle:
        """Make the folder of a bundle from its manifest's bytes and verified files (by SHA-256), durably.

        The folder has its name only when everything is on the disk. Raises `Malformed` when a file is not as it was.
        """
        digest = digest_of(data)
        target = self.folder(digest)
        making = self._bundles / f"{_MAKING}{digest}"
        shutil.rmtree(making, ignore_errors=True)
        make_folder(self._bundles)
        making.mkdir()
        for path, entry in manifest.files.items():
            place = making / path
            place.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(files[entry.sha256], place)
        write_durably(making / MANIFEST, data)
        open_folder(making)
        shutil.rmtree(target, ignore_errors=True)  # only ever a damaged one: `open` was asked first
        rename_durably(making, target)
        return open_folder(target)

    def keep_only(self, digests: Collection[str]) -> int:
        """Remove other bundles, and files that none of these needs, unfinished ones too. Returns the bytes freed."""
        for path in self._bundles.glob("*"):
            if path.name not in digests:
                shutil.rmtree(path, ignore_errors=True)
        needed = {
            entry.sha256 for digest in digests if (one := self.open(digest)) for entry in one.manifest.files.values()
        }
        freed = 0
        for path in self._files.glob("*"):
            if path.name not in needed:
                freed += path.stat().st_size
                path.unlink(missing_ok=True)
        return freed


def sha256_of(path: Path) -> str:
    """Digest of a file, in bounded memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as reading, target.open("xb") as writing:
        shutil.copyfileobj(reading, writing, _CHUNK)
