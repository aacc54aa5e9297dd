"""A story for the page Alarms: a new champion takes hens for jays. It is told as the monitor tells it, without one.

docs/images/page-alarms.png shows it, page-learning.png how it began.
"""

import asyncio
from typing import Any

from page_world import TASK, World, into

from roost_broker.clock import MS, SystemClock
from roost_broker.headers import new_header
from roost_broker.messages import (
    AlarmMarker,
    Alarms,
    AlarmSignal,
    Ask,
    ModelState,
    OpenAlarm,
    Reply,
    RoleState,
    encode,
)
from roost_broker.mqtt import MqttBus
from roost_broker.topics import NodeTopics

DEVICE = NodeTopics("coop-1")
HOUR_MS = 3_600_000
CULPRIT = "henhouse/score/champion/hen"
LEARNING = "henhouse/score/mobilenet-v3-large.quantized/rhode_island_red"
SENTENCE = "champion's score for hen is 0.5 in the middle, usually 0.8"
AGREEMENT = "champion agreed with canary in 78 % of the newest 50, usually in 97 %"


def head(who: str = "monitor") -> Any:
    return new_header(SystemClock(), "coop-1", who)._asdict()


def an_alarm() -> OpenAlarm:
    now = SystemClock().wall_ns() // MS
    return OpenAlarm(
        alarm_id="ab12",
        task=TASK,
        verdict="model",
        opened_at=now - 26 * HOUR_MS,
        updated_at=now,
        nines=3.3,
        reasons=["champion moved, and the canary, which sees the same pictures, did not"],
        signals=[
            AlarmSignal(name=CULPRIT, share=0.8, sentence=SENTENCE),
            AlarmSignal(name="henhouse/agreement/champion/canary", share=0.2, sentence=AGREEMENT),
        ],
        markers=[AlarmMarker(at=now - 27 * HOUR_MS, text="champion 2 speaks, before it was 1")],
    )


def standing() -> list[dict[str, Any]]:
    """What is watched: two that are strange, some that are usual, and some that still learn."""
    at = SystemClock().wall_ns() // MS
    share, times = {"unit": "share"}, {"unit": "ms", "side": "operational"}
    judged = [
        {"signal": CULPRIT, "nines": 3.3, "now": 0.5, "normal": 0.8, "sentence": SENTENCE},
        {
            **{"signal": "henhouse/agreement/champion/canary", "nines": 2.2, **share},
            **{"now": 0.78, "normal": 0.97, "sentence": AGREEMENT},
        },
        {"signal": "henhouse/score/canary/hen", "nines": 0.3, "now": 0.79, "normal": 0.8},
        {"signal": "henhouse/input/nest/picture.sharpness", "nines": 0.2, "now": 41.0, "normal": 42.0},
        {"signal": "henhouse/latency/champion/evaluate", "nines": 0.4, "now": 44.0, "normal": 42.0, **times},
    ]
    learning = [
        {
            **{"signal": LEARNING.replace("rhode_island_red", label), "watch": "not-enough-history"},
            **{"whyNot": "not enough history: 2.1 of 7 days", "now": 0.9, "normal": 0.9},
        }
        for label in ("blue_jay", "buff_orpington", "plymouth_rock", "rhode_island_red")
    ]
    return [{"at": at, **one} for one in (*judged, *learning)]


def standing_at_first() -> list[dict[str, Any]]:
    """The same signals two hours after the device began."""
    known = ("signal", "now", "normal", "unit", "side", "at")
    learns = {"watch": "not-enough-history", "whyNot": "not enough history: 0.1 of 7 days"}
    return [{**{name: one[name] for name in known if name in one}, **learns} for one in standing()]


async def monitor(client: MqttBus, *, at_first: bool = False) -> "asyncio.Queue[Ask]":
    """What the role says, without the role: a retained list, and answers to both verbs."""
    asked: asyncio.Queue[Ask] = asyncio.Queue()
    known: asyncio.Queue[Ask] = asyncio.Queue()
    client.subscribe(DEVICE.request("alarms"), into(asked))
    client.subscribe(DEVICE.request("acknowledge"), into(known))
    await client.start()
    signals = standing_at_first() if at_first else standing()
    counted = {"signals": len(signals), "able": sum("watch" not in one for one in signals)}
    why_not = "not watched long enough: 2 of 48 hours" if at_first else ""
    listed = Alarms(**head(), task=TASK, open=[] if at_first else [an_alarm()], why_not=why_not, **counted)
    await client.publish(DEVICE.task(TASK).alarms, encode(listed), retain=True)

    async def answer() -> None:
        while True:
            question = await asked.get()
            data = {"alarms": [], **counted, "standing": signals}
            reply = Reply(**head(), verb="alarms", transaction=question.transaction, status="ok", data=data)
            await client.publish(DEVICE.response("alarms"), encode(reply))

    client.answering = asyncio.ensure_future(answer())  # type: ignore[attr-defined]  # kept as long as the client is
    return known


async def everybody_is_ready(world: World, client: MqttBus) -> None:
    """Every role and model that the page misses says that it is there."""
    assert world.served is not None
    for concern in world.served.house.concerns():
        _, kind, name, *_ = concern.what.split()
        if kind == "role":
            role = RoleState(**head(), role=name, state="ready", session=1)
            await client.publish(DEVICE.role(name), encode(role), retain=True)
        else:
            model = ModelState(**head(), model=name, state="ready", session=1)
            await client.publish(DEVICE.task(TASK).model_state(name), encode(model), retain=True)
