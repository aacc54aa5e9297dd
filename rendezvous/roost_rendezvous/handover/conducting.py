"""The conductor on a bus: follows the two roles' states, sends the tokens, and has processes started and ended."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

from roost_broker.bus import Bus, Delivery
from roost_broker.cancellation import cancel_and_wait
from roost_broker.clock import SECOND, Clock
from roost_broker.errors import Malformed, PeerError, RoostError
from roost_broker.headers import new_header
from roost_broker.ids import new_id
from roost_broker.messages import RoleState, Token, decode, encode
from roost_broker.topics import TaskTopics
from roost_rendezvous.handover import files
from roost_rendezvous.handover.conductor import (
    Action,
    Conductor,
    Ended,
    Event,
    ForgetSession,
    GivenUp,
    HandoverPolicy,
    NotRemoved,
    NotStarted,
    Remove,
    Removed,
    RoleSaid,
    SendToken,
    StartSuccessor,
    Tell,
)
from roost_rendezvous.handover.slots import OTHER_SLOT, role_name

Component = Literal["rendezvous", "injector"]


class Stage(Protocol):
    """Who starts and ends processes: the supervisor, or a person."""

    async def start(self, role: str) -> None:
        """Start the process of this role, in standby. Raises `RoostError` when that cannot be."""
        ...

    async def remove(self, role: str) -> None:
        """Return when its process has ended and is not started again. Raises `RoostError` when that cannot be."""
        ...

    async def forget(self, role: str) -> None:
        """Let the broker forget the session of this role, whose process has ended."""
        ...


class HandOver:
    """One hand-over of one task's `component` from the role in `slot` to the one in the other slot.

    `bus` is unstarted and a session of its own; `folder` is where the component writes its snapshots.
    """

    def __init__(
        self,
        bus: Bus,
        topics: TaskTopics,
        component: Component,
        slot: str,
        stage: Stage,
        *,
        folder: Path,
        clock: Clock,
        policy: HandoverPolicy | None = None,
        tell: Callable[[Tell], None] = lambda _: None,
        connect_s: float = 10.0,
    ) -> None:
        self.id = new_id(clock.wall_ns())
        self.old = role_name(component, topics.task, slot)
        self.new = role_name(component, topics.task, OTHER_SLOT[slot])
        self._bus = bus
        self._topics = topics
        self._component: Component = component
        self._stage = stage
        self._folder = folder
        self._clock = clock
        self._tell = tell
        self._connect_s = connect_s
        self._conductor = Conductor(self.id, self.old, self.new, policy)
        self._ended: asyncio.Future[Ended] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._works: set[asyncio.Task[None]] = set()

    async def run(self) -> Ended:
        """Conduct it to its end. Cancelled before the transition token, the old role stays in charge.

        Raises `PeerError` without a broker.
        """
        self._ended = asyncio.get_running_loop().create_future()
        for role in (self.old, self.new):
            self._bus.subscribe(self._topics.device.role(role), partial(self._said, role))
        try:
            try:
                async with asyncio.timeout(self._connect_s):
                    await self._bus.start()
            except TimeoutError:
                raise PeerError("No broker answers.", "Start it, or correct [broker] in the settings.") from None
            self._conductor.begin(self._clock.monotonic_ns())
            self._arm()
            return await self._finish(self._ended)
        finally:
            if self._timer is not None:
                self._timer.cancel()
            await cancel_and_wait(*self._works)
            await self._bus.stop()
            with contextlib.suppress(OSError):
                files.tidy(self._folder)

    async def _finish(self, ended: "asyncio.Future[Ended]") -> Ended:
        while True:
            try:
                return await asyncio.shield(ended)
            except asyncio.CancelledError:
                if ended.cancelled() or self._conductor.committed:
                    raise
                self._take(GivenUp())  # and wait for the end of the tidying up; a second cancellation ends that too
                return await ended

    def _said(self, role: str, delivery: Delivery) -> None:
        delivery.ack()
        try:
            state = decode(delivery.payload) if delivery.payload else None
        except Malformed:
            return  # somebody else's; the role will say it again
        if isinstance(state, RoleState):
            self._take(RoleSaid(role, state.state, state.session, state.detail))

    def _take(self, event: Event) -> None:
        self._act(self._conductor.handle(event, self._clock.monotonic_ns()))
        self._arm()

    def _wake(self) -> None:
        self._timer = None
        self._act(self._conductor.expire(self._clock.monotonic_ns()))
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._conductor.deadline()
        if deadline is not None:
            delay = max(0, deadline - self._clock.monotonic_ns()) / SECOND
            self._timer = asyncio.get_running_loop().call_later(delay, self._wake)

    def _act(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            if isinstance(action, Tell):
                self._tell(action)
            elif isinstance(action, SendToken):
                self._send(action.kind)
            elif isinstance(action, Ended):
                self._spawn(self._end(action))
            else:
                self._spawn(self._arrange(action))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._works.add(task)
        task.add_done_callback(self._works.discard)

    async def _arrange(self, action: StartSuccessor | Remove | ForgetSession) -> None:
        """What the stage does; its failures become events."""
        try:
            if isinstance(action, StartSuccessor):
                await self._stage.start(action.role)
            elif isinstance(action, Remove):
                await self._stage.remove(action.role)
                self._take(Removed(action.role))
            else:
                await self._stage.forget(action.role)
        except RoostError as error:
            if isinstance(action, StartSuccessor):
                self._take(NotStarted(error.problem, error.remedy))
            elif isinstance(action, Remove):
                self._take(NotRemoved(action.role))
            # A session that could not be forgotten expires by itself.

    async def _end(self, ended: Ended) -> None:
        """After what is still being arranged: a session is forgotten before the command returns."""
        others = [work for work in self._works if work is not asyncio.current_task()]
        await asyncio.gather(*others, return_exceptions=True)
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(ended)

    def _send(self, kind: Literal["snapshot", "transition"]) -> None:
        head = new_header(self._clock, self._topics.device.node, "upgrade")
        token = Token(
            timestamp=head.timestamp,
            message_id=head.message_id,
            provenance=head.provenance,
            kind=kind,
            component=self._component,
            handover_id=self.id,
            old=self.old,
            new=self.new,
            location=str(files.location(self._folder, self.id)),
        )
        self._bus.publish(self._topics.raw, encode(token))
