"""Reads files out of an ext4 file system within an image, through debugfs: nothing is mounted, nothing is changed.

debugfs is only ever told numbers of inodes, never names: what a name in a hostile image holds cannot become a command.
"""

import re
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from roost_provisioning.image.card_tools import output_of
from roost_provisioning.image.partition_table import Partition, UnreadableImage

ROOT_INODE = 2
MAX_FILE = 1 << 20
MAX_ENTRIES = 100_000
_MAX_LINKS = 12
_ENTRY = re.compile(r"^/(\d{1,10})/(\d{6})/(\d*)/(\d*)/(.*)/(\d*)/$")
_PROMPT = "debugfs: "


class Entry(msgspec.Struct, frozen=True):
    """A name in a folder. `mode` as of `stat`; `size` in bytes, 0 for folders."""

    name: str
    inode: int
    mode: int
    uid: int
    gid: int
    size: int

    @property
    def is_folder(self) -> bool:
        """It is a folder, not a link to one."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_link(self) -> bool:
        """It is a symbolic link."""
        return stat.S_ISLNK(self.mode)

    @property
    def is_file(self) -> bool:
        """It is a regular file."""
        return stat.S_ISREG(self.mode)


class Ext4:
    """One file system, read only. What was listed once is remembered."""

    def __init__(self, image: Path, partition: Partition) -> None:
        self._device = f"{image}?offset={partition.start}"
        self._known: dict[int, tuple[Entry, ...]] = {}
        self._count = 0

    def folder(self, path: str) -> tuple[Entry, ...]:
        """What is in a folder, links followed; empty where there is none."""
        entry = self.entry(path)
        return self._lists([entry.inode])[0] if entry and entry.is_folder else ()

    def entry(self, path: str, *, follow: bool = True) -> Entry | None:
        """The entry at an absolute path; None where there is none. Links on the way are followed, within the image."""
        return self._walk(PurePosixPath(path).parts[1:], follow=follow, links=_MAX_LINKS)

    def read(self, path: str, limit: int = MAX_FILE) -> bytes | None:
        """The content of a regular file, links followed; None where there is none. Raises when it is over the limit."""
        entry = self.entry(path)
        if entry is None or not entry.is_file:
            return None
        if entry.size > limit:
            raise UnreadableImage(f"{path} in the image has {entry.size} bytes, more than {limit}")
        return self.contents([entry])[0]

    def text(self, path: str, limit: int = MAX_FILE) -> str:
        """As `read`, as text; empty where there is no such file."""
        return (self.read(path, limit) or b"").decode("utf-8", "replace")

    def contents(self, entries: Sequence[Entry]) -> list[bytes]:
        """The contents of these files, with one run of debugfs. The caller has looked at their sizes."""
        with tempfile.TemporaryDirectory(prefix="roost-image-") as folder:
            targets = [Path(folder, str(index)) for index in range(len(entries))]
            self._run([f'dump <{one.inode}> "{target}"' for one, target in zip(entries, targets, strict=True)])
            return [target.read_bytes() if target.exists() else b"" for target in targets]

    def walk(self, path: str, *, skip: frozenset[str] = frozenset()) -> Iterator[tuple[str, Entry]]:
        """All below a folder, level by level, as (path, entry); folders whose path is in `skip` are not entered."""
        top = self.entry(path)
        level = [(path.rstrip("/"), top.inode)] if top and top.is_folder else []
        seen: set[int] = set()
        while level:
            seen.update(inode for _, inode in level)
            further: list[tuple[str, int]] = []
            for (above, _), entries in zip(level, self._lists([inode for _, inode in level]), strict=True):
                for entry in entries:
                    here = f"{above}/{entry.name}"
                    yield here, entry
                    if entry.is_folder and entry.inode not in seen and here not in skip:
                        further.append((here, entry.inode))
            level = further

    def _walk(self, parts: Sequence[str], *, follow: bool, links: int) -> Entry | None:
        here = Entry("/", ROOT_INODE, stat.S_IFDIR | 0o755, 0, 0, 0)
        passed: list[str] = []
        for index, part in enumerate(parts):
            found = next((one for one in self._lists([here.inode])[0] if one.name == part), None)
            last = index == len(parts) - 1
            if found is None:
                return None
            if found.is_link and (follow or not last):
                if links <= 0:
                    return None
                target = PurePosixPath("/", *passed, self._target(found))
                return self._walk([*_flat(target), *parts[index + 1 :]], follow=follow, links=links - 1)
            if not last and not found.is_folder:
                return None
            here = found
            passed.append(part)
        return here

    def _target(self, link: Entry) -> str:
        """Where a link points. A short one is kept in the inode itself, where only `stat` shows it."""
        if link.size >= 60:
            return self.contents([link])[0].decode("utf-8", "replace")
        said = self._run([f"stat <{link.inode}>"])
        found = re.search(r'^Fast link dest: "(.*)"$', said, re.MULTILINE)
        return found[1] if found else ""

    def _lists(self, inodes: Sequence[int]) -> list[tuple[Entry, ...]]:
        wanted = [inode for inode in dict.fromkeys(inodes) if inode not in self._known]
        if wanted:
            said = self._run([f"ls -p <{inode}>" for inode in wanted])
            heads = {f"{_PROMPT}ls -p <{inode}>": inode for inode in wanted}
            found: dict[int, list[Entry]] = {inode: [] for inode in wanted}
            current: int | None = None
            for line in said.split("\n"):  # not splitlines: it also splits at characters a name may have
                if line in heads:
                    current = heads[line]
                elif current is not None and (match := _ENTRY.match(line)) and match[5] not in {".", ".."}:
                    found[current].append(_entry(match))
            self._count += sum(map(len, found.values()))
            if self._count > MAX_ENTRIES:
                raise UnreadableImage(f"more than {MAX_ENTRIES} names in the folders that are looked at")
            self._known.update((inode, tuple(entries)) for inode, entries in found.items())
        return [self._known[inode] for inode in inodes]

    def _run(self, commands: Sequence[str]) -> str:
        status, said, complaint = output_of(
            ["debugfs", "-f", "-", self._device], given="".join(f"{one}\n" for one in commands).encode()
        )
        text = said.decode("utf-8", "replace")
        if status or "while opening filesystem" in complaint or "Filesystem not open" in complaint:
            raise UnreadableImage(
                f"debugfs cannot read its ext4 file system: {complaint.splitlines()[-1] if complaint else status}",
                "The image is damaged: download or copy it again, and compare its SHA-256.",
            )
        return text


def _entry(match: re.Match[str]) -> Entry:
    return Entry(match[5], int(match[1]), int(match[2], 8), int(match[3] or 0), int(match[4] or 0), int(match[6] or 0))


def _flat(path: PurePosixPath) -> list[str]:
    """The parts of an absolute path without `..`; above the root is the root."""
    parts: list[str] = []
    for part in path.parts[1:]:
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return parts
