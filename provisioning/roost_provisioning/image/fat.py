"""Reads and writes files on the FAT boot partition of an image, through mtools: nothing is mounted."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from roost_broker.errors import Misuse
from roost_provisioning.image.card_tools import output_of
from roost_provisioning.image.partition_table import Partition, UnreadableImage

MAX_FILE = 4 << 20
MAX_NAMES = 20_000
# The person's own configuration of mtools must not decide; official images fail its check of cylinders.
_ENV = {"MTOOLSRC": os.devnull, "MTOOLS_SKIP_CHECK": "1", "MTOOLS_NO_VFAT": "0"}
_EMPTY = 'File "::/" not found'  # what mdir says of a file system without any file


class Fat:
    """One FAT file system. Paths are relative, with `/`: `overlays/README`. Upper and lower case are the same."""

    def __init__(self, image: Path, partition: Partition) -> None:
        self._image = f"{image}@@{partition.start}"
        self._names: dict[str, str] | None = None

    def names(self) -> list[str]:
        """All files and folders (these end in `/`), as they are written."""
        return list(self._all().values())

    def has(self, path: str) -> bool:
        """There is such a file."""
        return path.casefold() in self._all()

    def read(self, path: str, limit: int = MAX_FILE) -> bytes | None:
        """The content of a file; None where there is none. Raises when it is over the limit."""
        if not self.has(path):
            return None
        return self._run("mtype", f"::/{path}", limit=limit)

    def text(self, path: str, limit: int = MAX_FILE) -> str:
        """As `read`, as text; empty where there is no such file."""
        return (self.read(path, limit) or b"").decode("utf-8", "replace")

    def write(self, files: Mapping[str, bytes | Path]) -> None:
        """Put files there, from bytes or from files; those of the same name are replaced, folders are made."""
        for folder in sorted({above for path in files for above in _above(path)}):
            if not self.has(f"{folder}/"):
                self._run("mmd", f"::/{folder}")
                self._all()[f"{folder}/".casefold()] = f"{folder}/"
        with tempfile.TemporaryDirectory(prefix="roost-image-") as scratch:
            for index, (path, content) in enumerate(files.items()):
                source = content if isinstance(content, Path) else Path(scratch, str(index))
                if not isinstance(content, Path):
                    source.write_bytes(content)
                self._run("mcopy", "-o", "-Q", str(source), f"::/{path}")
                self._all()[path.casefold()] = path

    def delete(self, path: str) -> None:
        """Take a file away; nothing where there is none."""
        if self.has(path):
            self._run("mdel", f"::/{path}")
            self._all().pop(path.casefold())

    def _all(self) -> dict[str, str]:
        if self._names is None:
            lines = self._run("mdir", "-/", "-b", "-a", "::/", nothing=_EMPTY).decode("utf-8", "replace").splitlines()
            if len(lines) > MAX_NAMES:
                raise UnreadableImage(f"more than {MAX_NAMES} files on the boot partition")
            names = (line.removeprefix("::/") for line in lines if line.startswith("::/"))
            self._names = {name.casefold(): name for name in names}
        return self._names

    def _run(self, command: str, *arguments: str, limit: int = 32 << 20, nothing: str = "") -> bytes:
        options = [one for one in arguments if one.startswith("-") and one != "-"]
        rest = [one for one in arguments if one not in options]
        status, said, complaint = output_of([command, *options, "-i", self._image, *rest], env=_ENV, limit=limit)
        if "Disk full" in complaint or "No directory slots" in complaint:
            raise Misuse(
                "the boot partition has no room left for these files",
                "Give fewer or smaller files, or an image with a larger boot partition.",
            )
        if status and nothing and nothing in complaint:
            return b""
        if status:
            raise UnreadableImage(
                f"{command} cannot work on its boot partition: {(complaint or str(status)).splitlines()[-1]}",
                "The image is damaged: download or copy it again, and compare its SHA-256.",
            )
        return said


def _above(path: str) -> list[str]:
    """The folders above a path, outermost first."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: index + 1]) for index in range(len(parts))]
