"""Mutated messages of every kind on every topic the servers read: no role ends, and honest requests are answered.

The mutations are seeded: a run that fails fails again.
"""

import asyncio
import random
from pathlib import Path

from coop import LADDER, Coop, after
from stories import ask, run_story

from roost_broker import messages
from roost_broker.clock import MS
from roost_broker.memory import MemoryBus
from roost_broker.messages import Declined, Diagnostics, Hop, ModelState, Output, Provenance, Score, encode
from roost_rendezvous import schedule as schedules
from roost_rendezvous.injector.role import StateInjector

_PIECES = (
    *(
        b'"',
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b'""',
        b"null",
        b"true",
        b"NaN",
        b"1e999",
        b"-1",
        b"0.5",
        b"1e18",
    ),
    *(
        b"9" * 25,
        b"9" * 18,
        b"\xff",
        b"\\ud800",
        b"\x00",
        b"[" * 30,
        b'{"a":' * 20,
        b"\xc3\xa9" * 600,
        b"*",
        b"#",
        b"/",
    ),
)


def mutated(payload: bytes, dice: random.Random) -> bytes:
    changed = bytearray(payload)
    for _ in range(dice.randrange(3)):
        place = dice.randrange(len(changed))
        end = place + dice.randrange(6) if dice.random() < 0.7 else place
        changed[place:end] = dice.choice(_PIECES)
    return bytes(changed)


def corpus(coop: Coop, dice: random.Random) -> list[tuple[str, bytes]]:
    """One message of each kind for each topic, its ids among few so that they meet."""
    topics, few = coop.task(), [f"{number:032x}" for number in range(1, 20)]
    head = {"timestamp": dice.choice([0, 1, 2**63 - 1]), "message_id": dice.choice(few)}
    hops = Provenance(path=[Hop(node="x", component="y")] * dice.choice([0, 1, 32]))
    about = {**head, "request_id": dice.choice(few), "provenance": hops}
    model = dice.choice(["champion", "fast", "canary", "stranger"])
    outputs = [Output(label="l" * dice.choice([1, 200]), score=dice.choice([0.0, -1e308, 1e308]))] * dice.choice(
        [1, 400]
    )
    request = coop.request(
        request_id=dice.choice(few),
        deadline_ms=dice.choice([1, 2000, 3_600_000]),
        issued_ns=dice.choice([0, 2**63 - 1, coop.clock.monotonic_ns()]),
        diagnostics=Diagnostics(trace=True, schedule=dice.choice([None, {}, schedules.to_object(LADDER)])),
    )
    state = ModelState(
        **head, model=model, state=dice.choice(["ready", "gone", "failed"]), session=dice.choice([0, 2**63 - 1])
    )
    return [
        (dice.choice([topics.input, topics.raw]), encode(request)),
        (topics.scores(model), encode(Score(**about, model=model, version="v" * 1000, outputs=outputs))),
        (topics.scores(model), encode(Declined(**about, model=model, version="", reason="behind"))),
        (topics.model_state(model), dice.choice([encode(state), b" "])),
        (topics.schedule, coop.schedule_set(LADDER)),
    ]


def test_mutated_messages_end_no_role_and_cost_no_honest_request_its_answer(tmp_path: Path) -> None:
    dice = random.Random(7)

    async def story(coop: Coop) -> None:
        server = await coop.server(qa=True)
        bus = MemoryBus(coop.broker, "injector-nest")
        injector = StateInjector(bus, coop.task(), clock=coop.clock, node="coop-1", session=1)
        stop = asyncio.Event()
        coop._tasks["injector"] = asyncio.ensure_future(injector.run(stop)), stop
        await coop.model("champion", after(20))
        rogue = await coop.bus("rogue")
        for _ in range(400):
            for topic, payload in corpus(coop, dice):
                rogue.publish(topic, mutated(payload, dice), response_topic=dice.choice([None, "a/+", "", "roost/x"]))
            request = coop.request(requester="honest")
            honest[request.request_id] = coop.clock.monotonic_ns()
            await ask(coop, request)
            await asyncio.sleep(0.05)
        await asyncio.sleep(20)
        assert not any(running.done() for running, _ in coop._tasks.values())
        assert coop.broker.waiting("rendezvous-nest") == coop.broker.waiting("injector-nest") == 0
        assert server.counts["dead-letters"] > 100
        assert injector.counts["dead-letters"] > 50

    honest: dict[str, int] = {}
    coop = run_story(tmp_path, story)
    results = coop.results()
    for request_id, asked in honest.items():
        [(at, result)] = results[request_id]
        assert at - asked <= result.sla_ms * MS
    for topic, payload in coop.bytes_seen:
        if "/results/" in topic or topic.endswith(("/deadletter", "/event")) or "/roles/" in topic:
            messages.decode(payload)
