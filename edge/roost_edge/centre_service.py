"""The centre as one process in the foreground: server, streams, archiver, begun and ended in order.

Order matters at the end: first the reading stops and what is in hand is committed, then the connection, then the
server that we started. A server that ends by itself ends the centre, loudly.
"""

import asyncio
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from roost_broker.centre import applying
from roost_broker.centre.access import NatsUnreachable, connect, hang_up
from roost_broker.centre.layout import CentreLayout
from roost_broker.centre.nats_server import NatsServer
from roost_broker.centre.streams import plans
from roost_broker.durable import write_durably
from roost_broker.errors import Misuse, PeerError
from roost_broker.stopping import told_to_stop
from roost_models.central.archiver import Archiver, ArchiverStatus
from roost_models.central.settings import TEMPLATE, load

if TYPE_CHECKING:
    from nats.aio.client import Client

_SAY_EVERY_S = 10.0
_LOOK_S = 0.5
_LEADER_S = 60.0


class CentreService:
    """The centre in `folder`; its settings are read, and written with comments where there are none."""

    def __init__(self, folder: Path, *, say: Callable[[str], None]) -> None:
        self._layout = CentreLayout(folder)
        self._say = say
        self._folder = folder
        if not self._layout.settings.is_file():
            write_durably(self._layout.settings, TEMPLATE.encode())
            say(f"A new centre in {folder}; its settings: {self._layout.settings}")
        self.settings = load(self._layout)
        self._server = None if self.settings.nats is not None else NatsServer(self.settings.server)

    def run(self, seconds: float = 0) -> ArchiverStatus:
        """Until SIGINT or SIGTERM, or for so long. Raises `RoostError` when something does not start, or ends."""
        with _alone(self._folder):
            if self._server is not None:
                self._server.start()
                self._say(f"NATS: {self._server.url}, stored in {self._server.folder}")
            try:
                return asyncio.run(self._run(seconds))
            finally:
                if self._server is not None:
                    self._server.stop()

    async def _run(self, seconds: float) -> ArchiverStatus:
        stop = told_to_stop(seconds)
        client = await connect(self.settings.access, name="roost-centre")
        try:
            await self._apply(client, stop)
            archiver = Archiver(
                client,
                self._layout.archive,
                self.settings.archive,
                base=self.settings.base,
                trim_above=self.settings.streams.trim_above,
                say=self._say,
            )
            self._say(f"Archiving into {self._layout.archive}; Ctrl-C ends it.")
            await self._watched(archiver, stop)
            self._say(_sentence(archiver.status))
            return archiver.status
        finally:
            await hang_up(client)

    async def _apply(self, client: "Client", stop: asyncio.Event) -> None:
        """A cluster that is only just starting has no leader yet: it is given a minute."""
        end = time.monotonic() + _LEADER_S
        while True:
            try:
                steps = await applying.apply(client, plans(self.settings.streams))
            except NatsUnreachable:
                if stop.is_set() or time.monotonic() >= end:
                    raise
                await asyncio.sleep(_LOOK_S)
            else:
                break
        for step in steps:
            if step.what != "unchanged":
                refused = f" ({', '.join(step.refused)}: roost centre apply --shrink)" if step.refused else ""
                self._say(f"stream {step.stream}: {step.what}{refused}")

    async def _watched(self, archiver: Archiver, stop: asyncio.Event) -> None:
        archiving = asyncio.ensure_future(archiver.run(stop))
        said, next_word = archiver.status, time.monotonic() + _SAY_EVERY_S
        while not archiving.done():
            await asyncio.wait({archiving}, timeout=_LOOK_S)
            if self._server is not None and not self._server.running and not stop.is_set():
                stop.set()
                await asyncio.gather(archiving, return_exceptions=True)
                raise PeerError("The NATS server has ended.", f"See {self._server.log_file}, and start again.")
            if time.monotonic() >= next_word:
                next_word = time.monotonic() + _SAY_EVERY_S
                if archiver.status != said:
                    said = archiver.status
                    self._say(_sentence(said))
        archiving.result()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The only one that runs this centre; raises `Misuse`. The kernel takes the lock back from one that is killed."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Misuse(
                f"The centre in {folder} is running already.",
                f"Use that one (roost centre status --centre {folder}), stop it first, or name another: --centre DIR.",
            ) from None
        yield
    finally:
        os.close(handle)


def _sentence(status: ArchiverStatus) -> str:
    sentence = f"{status.stored} messages archived, {status.frames} frames, {status.files} files"
    if status.duplicate:
        sentence += f"; {status.duplicate} came twice"
    if status.refused or status.frames_refused:
        sentence += f"; refused: {status.refused} messages, {status.frames_refused} frames"
    return sentence + "."
