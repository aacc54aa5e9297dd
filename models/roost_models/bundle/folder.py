"""A bundle as a folder: one model with everything it needs, verified before anything of it is loaded.

Rules, in this order; each has its own reason when it fails:

1. The manifest decodes, and names only files that stay inside the bundle (`manifest`).
2. The bundle holds exactly the files named, all plain files: nothing extra, nothing missing, no links.
3. Each file has the size and the SHA-256 that the manifest gives.
4. This environment is the one pinned (`environment`, called by whoever is about to load).

What it does not do: prove who made the bundle (signatures are the roll-out's affair), or run anything of it.
A bundle may also be one `.roost` file (`packing`); `opening` takes either.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from roost_broker.errors import Malformed, Misuse
from roost_models.bundle.manifest import MANIFEST, MAX_MANIFEST_BYTES, FileEntry, Manifest, digest_of, parse

_RESEAL = "Seal it again if you edited it (`roost bundle pack --seal`), or copy the bundle again."


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle. `digest` identifies manifest and content together."""

    manifest: Manifest
    root: Path
    digest: str

    def read(self, path: str) -> bytes:
        """Bytes of one file, verified again, so that what is loaded is what was checked."""
        entry = self.manifest.files.get(path)
        if entry is None:
            raise Misuse(f"Bundle {self.manifest.name} has no file {path!r}.", "Name one listed in its manifest.")
        return read_verified(self.root / path, path, entry)


def open_folder(root: Path, draft: bytes | None = None) -> Bundle:
    """Open a folder as a bundle; see the module's rules. `draft` is a manifest to take instead of the one there."""
    data = read_manifest(root) if draft is None else draft
    manifest = parse(data)
    present = files_below(root)
    missing = sorted(set(manifest.files) - present)
    if missing:
        raise Malformed(f"File {missing[0]!r} of the manifest is missing.", "Copy the bundle again.")
    extra = sorted(present - set(manifest.files))
    if extra:
        raise Malformed(
            f"File {extra[0]!r} is not in the manifest.", "Remove it, or accept it with `roost bundle pack --seal`."
        )
    for path, entry in manifest.files.items():
        _verify(root / path, path, entry)
    return Bundle(manifest=manifest, root=root, digest=digest_of(data))


def read_manifest(root: Path) -> bytes:
    """Bytes of a folder's manifest, bounded. Raises `Misuse` when there is none."""
    path = root / MANIFEST
    if path.is_symlink():
        raise Malformed(f"{MANIFEST} is a link.", "A bundle holds plain files only.")
    try:
        with path.open("rb") as file:
            return file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise Misuse(
            f"{root} holds no readable {MANIFEST} ({error.strerror}).", "Start one with `roost bundle new`."
        ) from error


def files_below(root: Path) -> set[str]:
    """Relative names of all files but the manifest. Raises `Malformed` at a link or another special file."""
    found: set[str] = set()
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        for name in folders:
            if (here / name).is_symlink():
                raise Malformed(f"{(here / name).relative_to(root)} is a link.", "A bundle holds plain files only.")
        for name in names:
            path = here / name
            relative = path.relative_to(root).as_posix()
            if path.is_symlink() or not path.is_file():
                raise Malformed(f"{relative} is not a plain file.", "A bundle holds plain files only.")
            if relative != MANIFEST:
                found.add(relative)
    return found


def read_verified(path: Path, name: str, entry: FileEntry) -> bytes:
    """Bytes of a file that has the size and digest of `entry`. Raises `Malformed` otherwise."""
    try:
        _check_size(path, name, entry)
        data = path.read_bytes()
    except OSError as error:
        raise Malformed(f"File {name!r} cannot be read: {error.strerror}.", "Copy the bundle again.") from error
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise _altered(name)
    return data


def _verify(path: Path, name: str, entry: FileEntry) -> None:
    """As `read_verified`, in bounded memory."""
    _check_size(path, name, entry)
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != entry.sha256:
            raise _altered(name)


def _check_size(path: Path, name: str, entry: FileEntry) -> None:
    size = path.stat().st_size
    if size != entry.bytes:
        raise Malformed(
            f"File {name!r} is not as sealed ({size} bytes now, {entry.bytes} when it was sealed).", _RESEAL
        )


def _altered(name: str) -> Malformed:
    return Malformed(f"File {name!r} is not as sealed (as long as it was, with other content).", _RESEAL)
