"""A watch that is saved and brought back again and again tells what one tells that was never ended."""

from typing import Any

import msgspec
from watch_world import BEGIN, HOUR, QUICK, House

from roost_rendezvous.analytics.watch.watching import Watching


def plain(state: Any) -> Any:
    """As the card gives it back."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(state, enc_hook=lambda value: value.tolist()))


def test_what_is_learnt_and_told_does_not_hang_on_restarts() -> None:
    house, straight, often = House(), Watching(QUICK), Watching(QUICK)
    told: tuple[list[str], list[str]] = ([], [])
    for hours in range(4, 140, 4):  # a restart every four hours: what is refreshed every six is met half-way
        if hours == 124:
            house.relabelled.add("champion")
        for one in house.until(BEGIN + hours * HOUR):
            told[0].extend(each.key for each in straight.handle(one))
            told[1].extend(each.key for each in often.handle(one))
        state = plain(often.snapshot())
        often = Watching(QUICK)
        often.restore(state)
    assert any(":opened:" in key for key in told[0])
    assert told[1] == told[0]
