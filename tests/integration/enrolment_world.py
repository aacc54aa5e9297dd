"""A real enrolment desk on loopback, in a thread of its own, and devices that are folders."""

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from roost_broker.clock import Clock
from roost_edge.enrolment import enrolling, trust
from roost_edge.enrolment.folder import IdentityFolder
from roost_edge.enrolment.seed import Seed, write_seed
from roost_provisioning.pki import rotation
from roost_provisioning.pki.authority import Authority
from roost_provisioning.pki.desk import Desk
from roost_provisioning.pki.settings import AuthoritySettings
from roost_provisioning.pki.tokens import ENTROPY

DAY = timedelta(days=1)
_PATIENCE_S = 60


def now() -> datetime:
    return datetime.now(UTC)


def no_phrase(_: Path) -> bytes | None:
    return None


class World:
    """An authority with a desk, in `folder`."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.url = f"https://localhost:{port}"

    @property
    def stick(self) -> Path:
        return self.folder / "stick"

    def open(self) -> Authority:
        """As another process would, beside the desk."""
        return Authority(self.folder / "authority")

    def token(
        self, *, name: str = "", prefix: str = "", uses: int = 1, valid: timedelta = DAY, at: datetime | None = None
    ) -> str:
        with self.open() as authority:
            return authority.new_token(
                at or now(), os.urandom(ENTROPY), name=name, prefix=prefix, uses=uses, valid=valid
            )

    def bundle(self) -> str:
        with self.open() as authority:
            return authority.trust(now())

    def pin(self, number: int = 1) -> str:
        with self.open() as authority:
            return trust.fingerprint(authority.files.roots()[number])

    def seed(self, folder: Path, token: str, **values: object) -> Path:
        """A card's folder with a seed."""
        folder.mkdir(parents=True, exist_ok=True)
        write_seed(folder, Seed(**{"url": self.url, "token": token, "ca_sha256": self.pin(), **values}))
        return folder

    def device(self, name: str, token: str, **values: object) -> IdentityFolder:
        """Enrolled."""
        seed = self.seed(self.folder / "cards" / name, token, **values)
        folder = IdentityFolder(self.folder / "devices" / name)
        enrolling.enrol(seed, folder, now())
        return folder


@contextmanager
def world(
    folder: Path,
    *,
    per_minute: int = 10_000,
    began: timedelta = timedelta(0),
    clock: Clock | None = None,
    **settings: int,
) -> Iterator[World]:
    """An authority of its own, with a desk that goes by `clock`. It was begun so long ago."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = AuthoritySettings(fleet="coops", **settings)
    rotation.begin(folder / "authority", wanted, folder / "stick", no_phrase, now() - began).close()
    with desk(folder / "authority", per_minute=per_minute, clock=clock) as port:
        yield World(folder, port)


@contextmanager
def desk(authority: Path, *, per_minute: int = 10_000, port: int = 0, clock: Clock | None = None) -> Iterator[int]:
    """Its port."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    found: list[int] = []
    failed: list[BaseException] = []
    stop = asyncio.Event()

    async def serve() -> None:
        try:
            with Authority(authority) as opened:
                made = Desk(opened, port=port, per_minute=per_minute, clock=clock)
                found.append(await made.start())
                ready.set()
                await made.serve(stop)
        except BaseException as error:
            failed.append(error)
            raise
        finally:
            ready.set()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(_PATIENCE_S)
        assert not failed, failed
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(_PATIENCE_S)
        assert not thread.is_alive()
        loop.close()
