"""An operator's side of a schedule: publish it, and hear from the rendezvous what became of it."""

import asyncio
from dataclasses import dataclass
from typing import Literal

from roost_broker.bus import Bus, Delivery
from roost_broker.clock import Clock
from roost_broker.errors import Malformed
from roost_broker.headers import new_header
from roost_broker.messages import Event, RoleState, ScheduleSet, decode, encode
from roost_broker.topics import TaskTopics
from roost_rendezvous.handover.slots import SLOTS, role_name
from roost_rendezvous.schedule import Schedule, to_object


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a schedule that was published; `detail` is the rendezvous' own sentence."""

    outcome: Literal["applied", "in-force-already", "refused", "published"]
    """`published`: it stands on the topic, but no rendezvous has said anything about it yet."""
    version: str
    before: str = ""
    detail: str = ""
    warnings: tuple[str, ...] = ()
    """What the rendezvous knows to go wrong with it: nobody ever answered in time, for instance."""


async def apply(
    bus: Bus, topics: TaskTopics, schedule: Schedule, *, author: str, why: str, clock: Clock, timeout_s: float = 5.0
) -> Applied:
    """Publish `schedule` as the task's retained one. `bus` is not started yet; it is stopped at the end."""
    head = new_header(clock, topics.device.node, "operator")
    message = ScheduleSet(
        timestamp=head.timestamp,
        message_id=head.message_id,
        provenance=head.provenance,
        task=topics.task,
        version=schedule.version,
        schedule=to_object(schedule),
        author=author,
        why=why,
    )
    said: asyncio.Future[Applied] = asyncio.get_running_loop().create_future()
    before = ""  # version of the schedule that stood on the topic
    served = False

    def heard(delivery: Delivery) -> None:
        nonlocal before, served
        delivery.ack()
        try:
            event = decode(delivery.payload)
        except Malformed:
            return
        if said.done():
            return
        if isinstance(event, ScheduleSet) and delivery.retained and event.message_id != head.message_id:
            before = event.version
        elif isinstance(event, RoleState):
            served = served or event.state == "ready"
        elif isinstance(event, Event) and event.data.get("task") == topics.task:
            if event.kind == "schedule-applied" and event.data.get("messageId") == head.message_id:
                said.set_result(_applied(event, schedule.version))
            elif event.kind == "schedule-refused":
                said.set_result(Applied("refused", schedule.version, detail=event.detail))
        # A rendezvous says nothing about the schedule that it has: equal content, equal version.
        if before == schedule.version and served and not said.done():
            said.set_result(Applied("in-force-already", schedule.version))

    bus.subscribe(topics.device.event, heard)
    bus.subscribe(topics.schedule, heard)
    for slot in SLOTS:
        bus.subscribe(topics.device.role(role_name("rendezvous", topics.task, slot)), heard)
    await bus.start()
    try:
        await bus.publish(topics.schedule, encode(message), retain=True)
        try:
            async with asyncio.timeout(timeout_s):
                return await said
        except TimeoutError:
            return Applied("published", schedule.version)
    finally:
        await bus.stop()


def _applied(event: Event, version: str) -> Applied:
    warnings = event.data.get("warnings", [])
    told = tuple(str(sentence) for sentence in warnings) if isinstance(warnings, list) else ()
    return Applied("applied", version, str(event.data.get("before", "")), event.detail, told)
