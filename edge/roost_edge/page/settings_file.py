"""The settings' file as the page sees it: read, checked by a child process, written durably, the old one kept.

1. What cannot be run on is not written. The check is `roost config check`, on the text, as if it stood in the file.
2. Who saves says which text he began with; when the file is another one by now, nothing is written.
3. Where this user may not write the file (a unit may not: the settings decide what root sets up), a valid text is kept
   as a proposal, which `roost page apply` shows and puts in force.
"""

import asyncio
import contextlib
import hashlib
import os
import sys
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from roost_broker.durable import write_durably
from roost_broker.errors import PeerError
from roost_edge.page.finding import Finding

Standing: TypeAlias = Literal["writable", "proposal", "unknown"]
MAX_TEXT = 1_000_000
_CHECK_S = 60.0


class SettingsFile:
    """`path`: the file that the role was started with, if that is known."""

    def __init__(self, path: Path | None, proposal: Path) -> None:
        self.path = path
        self.proposal = proposal

    @property
    def standing(self) -> Standing:
        """What saving will do."""
        if self.path is None:
            return "unknown"
        writable = os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK)
        return "writable" if writable else "proposal"

    def read(self) -> str:
        """The text in force (at the next start). Raises `PeerError`."""
        if self.path is None:
            raise PeerError("This page does not know the settings' file.", "Start it with roost up or roost run.")
        try:
            data = self.path.read_bytes()[: MAX_TEXT + 1]
            if len(data) > MAX_TEXT:
                raise PeerError(f"{self.path} is too large.", f"Settings are below {MAX_TEXT} bytes.")
            return data.decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PeerError(f"The settings cannot be read: {error}.", "roost config check") from error

    async def check(self, text: str) -> list[Finding]:
        """Everything that is wrong or doubtful. Raises `PeerError`."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "roost_edge.page.checking", str(self.path), str(os.getpid())),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(_CHECK_S):
                said, _ = await process.communicate(text.encode())
        except TimeoutError:
            raise PeerError(
                f"The check took longer than {_CHECK_S:g} s.", "On the device: roost config check"
            ) from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        try:
            return msgspec.json.decode(said, type=list[Finding])
        except msgspec.DecodeError:
            raise PeerError("The check gave no answer.", "On the device: roost config check") from None

    def save(self, text: str, begun_with: str) -> None:
        """Write a text that `check` found no error in. Raises `PeerError`."""
        before = self.read()
        if version(before) != begun_with:
            raise PeerError(
                "The settings were changed by somebody else meanwhile; nothing was saved.",
                "Open the page again, and make your change once more.",
            )
        assert self.path is not None  # noqa: S101 — `read` has raised where it is
        if self.standing == "proposal":
            write_durably(self.proposal, text.encode(), mode=0o600)
            return
        replace(self.path, text)


def replace(path: Path, text: str) -> None:
    """A new text in the file's place, with its mode and owner; the old one is `<name>.before` afterwards."""
    stat = path.stat()
    mode = stat.st_mode & 0o777
    for target, data in ((before_of(path), path.read_bytes()), (path, text.encode())):
        write_durably(target, data, mode=mode & 0o700)
        if os.geteuid() == 0:
            os.chown(target, stat.st_uid, stat.st_gid)
        target.chmod(mode)


def before_of(path: Path) -> Path:
    """Where the text lies that was replaced last."""
    return path.with_name(f"{path.name}.before")


def version(text: str) -> str:
    """Which text it is."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
