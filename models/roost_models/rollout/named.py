"""Which bundles the devices of a fleet name: in slots, in schedules, as canaries. Pure; from what devices say."""

from collections.abc import Iterable

from roost_broker.errors import Malformed, Misuse
from roost_broker.messages import ModelState, OtaState, ScheduleSet, decode
from roost_models.rollout.lifecycle import Named
from roost_rendezvous import schedule as schedules
from roost_rendezvous.schedule import Schedule

CANARY = "canary"
"""A model of this name, or one whose name begins with it and a hyphen, is kept as a canary even if nobody names it."""


def named_by(said: Iterable[tuple[str, str, bytes]]) -> list[Named]:
    """`said` holds `(node, topic, payload)` of the topics ota, schedule and model states; others are left out."""
    messages = []
    for node, topic, payload in said:
        try:
            messages.append((node, topic, decode(payload)))
        except Malformed:
            continue
    plans = {
        (node, message.task): plan
        for node, _, message in messages
        if isinstance(message, ScheduleSet) and (plan := _schedule(message)) is not None
    }
    found: dict[tuple[str, str, str, str], Named] = {}
    for node, topic, message in messages:
        if isinstance(message, OtaState):
            for line in message.lines:
                for slot in line.slots:
                    if slot.state != "rejected":
                        one = Named(node=node, task=line.task, model=slot.model, digest=slot.digest, place=slot.state)
                        found[node, line.task, slot.model, slot.digest] = one
        elif isinstance(message, ModelState) and message.bundle and message.state not in ("gone", "stopped"):
            task = _task_of(topic, node)
            place = _place(message.model, plans.get((node, task)))
            if place:
                key = (node, task, message.model, message.bundle)
                found.setdefault(
                    key, Named(node=node, task=task, model=message.model, digest=message.bundle, place=place)
                )
    return list(found.values())


def _schedule(message: ScheduleSet) -> Schedule | None:
    try:
        return schedules.parse(message.schedule)
    except Misuse:
        return None


def _place(model: str, schedule: Schedule | None) -> str:
    if schedule is not None and model in schedule.models:
        return "schedule"
    return "canary" if model == CANARY or model.startswith(f"{CANARY}-") else ""


def _task_of(topic: str, node: str) -> str:
    behind = topic.partition(f"/{node}/")[2]
    return behind.partition("/")[0]
