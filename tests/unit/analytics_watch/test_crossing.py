"""Words for each request: a model that leaves out, or speaks twice, is found however many requests there are."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from watch_world import BEGIN, HOUR, QUICK, SECOND, House

from roost_rendezvous.analytics.watch.crossing import Crossing
from roost_rendezvous.analytics.watch.observed import Observed, Said
from roost_rendezvous.analytics.watch.watching import Watching

NAME = "henhouse/rate/champion/words per request"
LEARNT = BEGIN + 100 * HOUR
Change = Callable[[House], Iterator[Observed]]


def usual(house: House) -> Iterator[Observed]:
    yield from house.request()


def twice(house: House) -> Iterator[Observed]:
    """Somebody runs a second champion, whose words differ by their ids."""
    for one in house.request():
        yield one
        if isinstance(one, Said) and one.model == "champion":
            yield msgspec.structs.replace(one, message_id=f"{one.message_id}-second")


def redelivered(house: House) -> Iterator[Observed]:
    """The broker delivers again: the same ids."""
    for one in house.request():
        yield one
        yield one


def half(house: House) -> Iterator[Observed]:
    """It leaves every other request without a word."""
    yield from (
        one for one in house.request() if not (isinstance(one, Said) and one.model == "champion" and house.number % 2)
    )


@pytest.fixture(scope="module")
def learnt() -> tuple[House, bytes]:
    """1,200 requests, each with one word of each model."""
    house, watch = House(every=300 * SECOND), Watching(QUICK)
    for one in house.until(LEARNT):
        watch.handle(one)
    return house, msgspec.msgpack.encode(watch.snapshot(), enc_hook=lambda value: value.tolist())


@pytest.mark.parametrize(("change", "strange"), [(usual, False), (redelivered, False), (twice, True), (half, True)])
def test_a_model_that_speaks_twice_or_leaves_out_is_found_within_sixty_requests(
    learnt: tuple[House, bytes], change: Change, strange: bool
) -> None:
    house, watch = copy.deepcopy(learnt[0]), Watching(QUICK)
    watch.restore(msgspec.msgpack.decode(learnt[1]))
    for _ in range(60):
        house.now += 300 * SECOND
        for one in change(house):
            watch.handle(one)
    watch.expire(house.now + 1_200 * SECOND)
    stands: dict[str, Any] = {one.signal: one for one in watch.standing().signals}
    assert stands[NAME].normal == pytest.approx(1.0, abs=0.01) or strange
    assert ((stands[NAME].nines or 0.0) > 3.0) is strange


def test_models_are_bounded_and_the_canary_is_known_as_such() -> None:
    crossing = Crossing("canary")
    for number in range(1_000):
        crossing.handle(Said(0, "1", "t", "1", 0, f"m{number}" if number else "canary", "1", {}, 1.0, 1, "", ""))
    readings = list(crossing.tick(0))
    assert len(readings) == 256
    assert [one.signal.subject for one in readings[:2]] == ["canary", "model"]
    assert "not enough history: 0 of 500 effects" in readings[0].why_not
