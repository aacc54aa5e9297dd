"""A copy of the registry for a stick or a mirror: what is in force, in the order in which it may be cut off anywhere.

The copy is as good as the registry until its timestamp ends, and it needs no trust: every device verifies it.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from roost_broker.durable import make_folder, rename_durably
from roost_broker.errors import Misuse
from roost_models.bundle.manifest import parse
from roost_models.registry import layout
from roost_models.registry.store import sha256_of
from roost_models.registry.writer import Registry


class Exported(Struct, frozen=True, kw_only=True):
    """What an export copied, and what was there already."""

    path: str
    copied: int
    kept: int
    bytes: int
    """Copied."""
    expires: str
    """When the copy is no longer accepted (UTC)."""


def export(
    registry: Registry,
    target: Path,
    *,
    tasks: list[str] | None = None,
    progress: Callable[[int, int | None], None] = lambda _done, _total: None,
) -> Exported:
    """Copy what is in force to `target`; with `tasks` only the bundles of these. Run again, it brings it up to date."""
    if target.resolve().is_relative_to(registry.root.resolve()):
        raise Misuse(f"{target} lies in the registry itself.", "Give a folder elsewhere: a stick, a mirror.")
    with registry.locked():
        paths = list(_in_force(registry, tasks))
        copied = size = 0
        for number, path in enumerate(paths, 1):
            source, sink = registry.public / path, target / path
            if not _same(source, sink):
                size += _copy(source, sink)
                copied += 1
            progress(number, len(paths))
        expires = registry.expires(layout.TIMESTAMP).isoformat()
    return Exported(path=str(target), copied=copied, kept=len(paths) - copied, bytes=size, expires=expires)


def _in_force(registry: Registry, tasks: list[str] | None) -> Iterator[str]:
    """Paths below `public`: files, documents, roots, roles, snapshot, and the timestamp last."""
    files: dict[str, None] = {}
    documents = []
    for task, _, info in registry.bundles():
        if tasks is None or task in tasks:
            documents.append(info)
            entries = parse(registry.stored.document(info)).files.values()
            files |= {layout.file_path(entry.sha256): None for entry in entries}
    documents += registry.files.targets(layout.ROLLOUTS).signed.targets.values()
    yield from files
    yield from (layout.target_path(info.path, info.hashes["sha256"]) for info in documents)
    for version in registry.files.versions(layout.ROOT):
        yield f"metadata/{version}.root.json"
    yield "metadata/root.json"
    for role, meta in registry.files.infos().items():
        yield f"metadata/{meta.version}.{role}.json"
    yield f"metadata/{registry.files.timestamp().signed.snapshot_meta.version}.snapshot.json"
    yield "metadata/timestamp.json"


def _same(source: Path, sink: Path) -> bool:
    try:
        return source.stat().st_size == sink.stat().st_size and sha256_of(source) == sha256_of(sink)
    except OSError:
        return False


def _copy(source: Path, sink: Path) -> int:
    make_folder(sink.parent)
    beside = sink.with_name(f".{sink.name}.part")
    try:
        shutil.copyfile(source, beside)
        rename_durably(beside, sink)
    finally:
        beside.unlink(missing_ok=True)
    return source.stat().st_size
