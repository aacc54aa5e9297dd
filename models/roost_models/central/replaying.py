"""A period of the archive, said again into any broker: the same topics, the same payloads to the byte, in their order.

Back-pressure is honoured: at most `window` messages wait for the broker's acknowledgement. Nothing is left out and
nothing is sent twice; what a broker refuses ends the replay with its name.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from roost_broker.bus import Bus
from roost_broker.centre.envelope import Envelope
from roost_broker.centre.lanes import node_of
from roost_broker.clock import Clock, SystemClock
from roost_broker.errors import Misuse, QueueFull
from roost_broker.topics import check_name

WINDOW = 200
_TURN = 50
"""Messages after which others on the event loop get their turn."""


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay did."""

    messages: int
    bytes: int
    first_ms: int | None
    last_ms: int | None
    """When a device received the first and the last one."""
    seconds: float
    per_second: float


async def replay_into(
    rows: Iterable[Envelope],
    bus: Bus,
    *,
    base: str = "roost",
    as_node: str = "",
    speed: float = 0,
    window: int = WINDOW,
    clock: Clock | None = None,
    progress: Callable[[int], None] | None = None,
) -> Replayed:
    """Publish the rows; `speed` 1 keeps the original pace, 10 is ten times as fast, 0 as fast as the broker takes it.

    The bus is started already. With `as_node` every message is said as that device. Retained messages are retained
    again. Raises `Misuse`.
    """
    if speed < 0 or window < 1:
        raise Misuse(f"A replay at speed {speed} with a window of {window}.", "Use a speed from 0, a window from 1.")
    if as_node:
        check_name("node", as_node)
    clock = clock or SystemClock()
    began = clock.monotonic_ns()
    waiting: deque[asyncio.Future[None]] = deque()
    messages = size = 0
    first_ms = last_ms = None
    for one in rows:
        if first_ms is None:
            first_ms = one.received_ms
        last_ms = one.received_ms
        if speed:
            due = began + int((one.received_ms - first_ms) * 1_000_000 / speed)
            await _until(due, clock)
        while len(waiting) >= window:
            await waiting.popleft()
        topic = _as(one.topic, one.node, as_node, base)
        waiting.append(await _publish(bus, topic, one.payload, one.retained, waiting))
        messages += 1
        size += len(one.payload)
        if messages % _TURN == 0:
            await asyncio.sleep(0)
            if progress is not None:
                progress(messages)
    while waiting:
        await waiting.popleft()
    seconds = (clock.monotonic_ns() - began) / 1e9
    return Replayed(
        messages=messages,
        bytes=size,
        first_ms=first_ms,
        last_ms=last_ms,
        seconds=round(seconds, 3),
        per_second=round(messages / seconds, 1) if seconds > 0 else 0.0,
    )


async def _publish(
    bus: Bus, topic: str, payload: bytes, retain: bool, waiting: "deque[asyncio.Future[None]]"
) -> "asyncio.Future[None]":
    while True:
        try:
            return bus.publish(topic, payload, retain=retain)
        except QueueFull:
            if not waiting:
                raise
            await waiting.popleft()


async def _until(due: int, clock: Clock) -> None:
    left = due - clock.monotonic_ns()
    if left > 0:
        await asyncio.sleep(left / 1e9)


def _as(topic: str, node: str, as_node: str, base: str) -> str:
    """The topic as that device would say it; unchanged where it is of no device."""
    if not as_node or node_of(topic, base) is None:
        return topic
    rest = topic[len(base) + 1 :].split("/")[1:]
    return "/".join([base, as_node, *rest])
