"""Tokens of a hand-over in the stream of requests: passed on in line with the answers, as they came."""

from pathlib import Path
from typing import Any

from scaffold_world import CLOCK, HELD, Gate, Place, bundle_in, question, serving

from roost_broker.frames import FrameStore
from roost_broker.ids import new_id
from roost_broker.messages import Declined, Score, Token, encode


def token() -> Token:
    wall = CLOCK.wall_ns()
    return Token(
        timestamp=wall // 1_000_000,
        message_id=new_id(wall),
        kind="transition",
        component="rendezvous",
        handover_id=new_id(wall),
        old="rendezvous-nest",
        new="rendezvous-nest-b",
    )


def test_a_token_waits_for_the_requests_before_it_and_for_no_later_one(place: Place, tmp_path: Path, run: Any) -> None:
    async def main() -> None:
        async with serving(place, bundle_in(tmp_path, HELD), FrameStore(tmp_path)) as (watcher, scaffold):
            at_once, behind = token(), token()
            await watcher.bus.publish(place.topics.input, encode(at_once))
            assert await watcher.said.get() == at_once
            gate = Gate(tmp_path)
            await watcher.ask(gate.question())
            await gate.reached()
            await watcher.bus.publish(place.topics.input, encode(behind))
            await watcher.ask(question())
            await watcher.ask(question())
            assert isinstance(await watcher.said.get(), Declined)  # behind: a later one, which it need not wait for
            gate.open()
            assert isinstance(await watcher.said.get(), Score)
            assert await watcher.said.get() == behind
            assert encode(behind) in watcher.raw
            assert isinstance(await watcher.said.get(), Score)
            assert scaffold.counts["tokens"] == 2
            assert scaffold.counts["dead_letters"] == 0
            assert watcher.letters.empty()

    run(main())
