"""Where a registry can be: behind a web server, or in a folder (a stick). Both give bytes of a path, bounded.

Nothing that comes through here is believed; that is the reader's affair. A source only bounds it: how many bytes, how
long, and that a path cannot leave the folder.
"""

import stat
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from roost_broker.errors import Misuse
from roost_models.registry.errors import RegistryRefused, RegistryUnreachable
from roost_models.registry.limits import Limits

CHUNK = 65_536


class NotThere(Exception):
    """The registry answers that it has no such path."""


class Source(Protocol):
    """Bytes by path below `public`."""

    def read(self, path: str, *, most: int, offset: int = 0) -> Generator[bytes, None, None]:
        """The content from `offset` on, at most `most` bytes of it, in pieces.

        The first piece may be empty and says, when the iterator is started, that the source begins at `offset`;
        a source that cannot begin there raises `CannotResume`. Raises `NotThere`, `RegistryUnreachable`, and
        `RegistryRefused` (endless, slow).
        """
        ...


class CannotResume(Exception):
    """The source gives this path only from its beginning, or has less of it than was asked to be skipped."""


def open_source(location: str, limits: Limits, *, ca_file: Path | None = None) -> Source:
    """The source for a location: `http://…`, `https://…`, or a folder. Raises `Misuse`."""
    if location.startswith(("http://", "https://")):
        from roost_models.registry.http_source import HttpSource

        return HttpSource(location, limits, ca_file=ca_file)
    if "://" in location or not location:
        raise Misuse(f"A registry is not read from {location!r}.", "Give an http(s) address or a folder.")
    return FolderSource(Path(location))


class FolderSource:
    """A registry in a folder: a stick, or the centre's own (the folder that holds `metadata`, or the one around it)."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str, *, most: int, offset: int = 0) -> Generator[bytes, None, None]:
        """See `Source`."""
        root = self._root if (self._root / "metadata").is_dir() else self._root / "public"
        if not (root / "metadata").is_dir():
            raise RegistryUnreachable(f"There is no registry at {self._root}.", "Plug in the stick, or mount it.")
        real = (root / unquote(path)).resolve()
        if not real.is_relative_to(root.resolve()):
            raise RegistryRefused("malformed", f"{path!r} leads out of the registry.", "Copy the registry again.")
        try:
            found = real.stat()
            if not stat.S_ISREG(found.st_mode):  # before it is opened: a FIFO would wait for ever
                raise RegistryRefused("malformed", f"{path} is not a plain file.", "Copy the registry again.")
            if found.st_size < offset:
                raise CannotResume(path)
            with real.open("rb") as file:
                file.seek(offset)
                yield b""
                yield from bounded(iter(lambda: file.read(CHUNK), b""), path, most)
        except (FileNotFoundError, NotADirectoryError):
            raise NotThere(path) from None
        except (OSError, ValueError) as error:
            raise RegistryUnreachable(f"{path} cannot be read: {error}.", "Try another stick.") from error


def bounded(pieces: Iterator[bytes], path: str, most: int) -> Iterator[bytes]:
    """The same pieces, and a refusal as soon as they are more than `most` bytes."""
    given = 0
    for piece in pieces:
        given += len(piece)
        if given > most:
            raise RegistryRefused(
                "endless",
                f"{path} has more than the {most} bytes that were announced or are allowed.",
                "Try another mirror.",
            )
        yield piece
