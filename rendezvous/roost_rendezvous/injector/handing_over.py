"""The shell's part of a hand-over: files and buses around `turn`, which decides.

While it stands by, an injector listens to `input` and to its predecessor's state on a bus of its own: deliveries of
`raw` that it holds unacknowledged must not keep the token out.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from roost_broker import messages
from roost_broker.bus import Bus, Delivery
from roost_broker.clock import Clock, boot_id
from roost_broker.durable import write_durably
from roost_broker.errors import Malformed, Misuse
from roost_broker.messages import Request, RoleState, Token
from roost_broker.topics import TaskTopics
from roost_rendezvous.injector import snapshot
from roost_rendezvous.injector.keeper import StateKeeper
from roost_rendezvous.injector.turn import Action, Turn

_log = logging.getLogger(__name__)
T = TypeVar("T")


class Watcher(Generic[T]):
    """Tells `turn` what the predecessor does; `act` carries out what follows. The bus is stopped when it is over."""

    def __init__(
        self,
        turn: Turn[T],
        bus: Bus,
        topics: TaskTopics,
        clock: Clock,
        act: Callable[[tuple[Action[T], ...]], None],
    ) -> None:
        self._turn = turn
        self._clock = clock
        self._wake: asyncio.TimerHandle | None = None
        self._bus = bus
        self._topics = topics
        self._act = act
        self._watched = ""
        self._ending: asyncio.Task[None] | None = None
        bus.subscribe(topics.input, self._input)
        bus.on_connection(self._connection)

    async def start(self) -> None:
        """Return when it listens."""
        await self._bus.start()

    async def stop(self) -> None:
        """Stop listening; harmless when it has."""
        self.rest()
        if self._ending is not None:
            await self._ending
        await self._bus.stop()

    def over(self) -> None:
        """This injector's turn has begun: there is nothing more to watch."""
        self.rest()
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._bus.stop())

    def watch(self, role: str) -> None:
        """The token was there: from now on the predecessor's state matters, and its silence."""
        if not self._watched:
            with contextlib.suppress(Misuse):  # a token may name what cannot be a role
                self._bus.subscribe(self._topics.device.role(role), self._state)
                self._watched = role
        self.rest()
        due = self._turn.deadline()
        if due is not None:
            wait_s = max(0.0, (due - self._clock.monotonic_ns()) / 1e9)
            self._wake = asyncio.get_running_loop().call_later(wait_s, self._woken)

    def rest(self) -> None:
        """Wake nobody."""
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None

    def _woken(self) -> None:
        self._wake = None
        self._act(self._turn.expire(self._clock.monotonic_ns()))

    def _input(self, delivery: Delivery) -> None:
        delivery.ack()
        with contextlib.suppress(Malformed):
            message = messages.decode(delivery.payload)
            if isinstance(message, Request):
                self._turn.on_input(message.request_id)
            elif isinstance(message, Token):
                self._act(self._turn.on_input(message))

    def _state(self, delivery: Delivery) -> None:
        delivery.ack()
        with contextlib.suppress(Malformed):
            message = messages.decode(delivery.payload)
            if isinstance(message, RoleState) and message.role == self._watched:
                self._act(self._turn.predecessor(message.state))

    def _connection(self, up: bool) -> None:
        if not up:
            self._turn.watch_lost()


class Snapshots:
    """Files of `snapshot`, below one folder alone: a token is a message, and may come from anybody.

    `counts`: snapshot-written, snapshot-read, snapshot-failed. Nothing here raises; a hand-over goes on without.
    """

    def __init__(self, keeper: StateKeeper, folder: Path | None, task: str, *, boot: str = "") -> None:
        self.counts: Counter[str] = Counter()
        self._keeper = keeper
        self._folder = folder
        self._name = snapshot.file_name(task)
        self._boot = boot or boot_id()

    def write(self, location: str) -> None:
        """Write it durably. It blocks for as long as the medium takes; once in a hand-over."""
        try:
            write_durably(self._path(location), snapshot.write(self._keeper, self._boot))
        except (OSError, Misuse) as error:
            self._failed("written", error)
        else:
            self.counts["snapshot-written"] += 1

    def read(self, location: str) -> bool:
        """Go on from the predecessor's; whether that can be."""
        try:
            path = self._path(location)
            if path.stat().st_size > snapshot.MAX_BYTES:
                raise Malformed(f"The snapshot {path} is larger than {snapshot.MAX_BYTES} bytes.")
            snapshot.restore(path.read_bytes(), self._keeper, self._boot)
        except (OSError, Misuse, Malformed) as error:
            self._failed("read", error)
            return False
        self.counts["snapshot-read"] += 1
        return True

    def _path(self, location: str) -> Path:
        if self._folder is None or "\0" in location:
            raise Misuse("This injector was given no folder for snapshots.")
        folder = (self._folder / location).resolve()
        if not folder.is_relative_to(self._folder.resolve()):
            raise Misuse(f"The snapshot's folder {location!r} is outside {self._folder}.")
        return folder / self._name

    def _failed(self, what: str, error: Exception) -> None:
        self.counts["snapshot-failed"] += 1
        _log.warning("the snapshot was not %s: %s", what, error)
