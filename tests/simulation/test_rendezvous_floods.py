"""The rendezvous server in virtual time: models that flood, and its second session for what models say."""

import asyncio
from collections.abc import Callable

from coop import Coop, StubModel, after
from stories import Story, ask

from roost_broker.ids import new_id
from roost_broker.messages import Request

_WORDS = 400


def floods(model: StubModel, _request: Request) -> None:
    """Hundreds of words for requests of nobody's."""
    for _ in range(_WORDS):
        model.score(new_id(model.coop.clock.wall_ns()), "flood")


def causes(coop: Coop) -> list[str]:
    """How each request was answered; each once."""
    assert all(len(given) == 1 for given in coop.results().values())
    return [given[0][1].cause for given in coop.results().values()]


def test_what_a_model_says_beyond_its_budget_is_dropped_unread_and_the_others_are_heard(
    play: Callable[[Story], Coop],
) -> None:
    async def story(coop: Coop) -> None:
        server = await coop.server(scores_apart=True, max_words_at_once=100)
        await coop.model("champion", after(20))
        for number in range(4):
            await coop.model(f"flooder{number}", floods)
        for _ in range(5):
            await ask(coop, coop.request())
            await asyncio.sleep(0.1)
        await asyncio.sleep(3)
        assert server.counts["word-over-budget"] >= 2 * 5 * _WORDS  # half of what was said, at least
        assert coop.broker.waiting("rendezvous-nest") == coop.broker.waiting("rendezvous-nest-scores") == 0

    coop = play(story)
    assert causes(coop) == ["preferred"] * 5


def test_when_the_session_for_scores_is_lost_requests_are_answered_and_acknowledged_all_the_same(
    play: Callable[[Story], Coop],
) -> None:
    async def story(coop: Coop) -> None:
        await coop.server(scores_apart=True)
        await coop.model("champion", after(200))
        for _ in range(3):
            await ask(coop, coop.request())
        await asyncio.sleep(0.1)
        coop.broker.cut("rendezvous-nest-scores", hold=True)
        await asyncio.sleep(0.2)  # the champion has answered; nobody hears it
        coop.broker.restore("rendezvous-nest-scores")
        await asyncio.sleep(3)
        assert coop.broker.waiting("rendezvous-nest") == coop.broker.waiting("rendezvous-nest-scores") == 0

    coop = play(story)
    assert causes(coop) == ["preferred"] * 3


def test_when_the_session_for_requests_is_lost_held_scores_are_still_acknowledged(
    play: Callable[[Story], Coop],
) -> None:
    async def story(coop: Coop) -> None:
        await coop.server(scores_apart=True)
        await coop.model("fast", after(20))  # official from 600 ms on: its score is held until then
        for _ in range(3):
            await ask(coop, coop.request())
        await asyncio.sleep(0.2)
        coop.broker.cut("rendezvous-nest")
        await asyncio.sleep(3)
        assert coop.broker.waiting("rendezvous-nest") == coop.broker.waiting("rendezvous-nest-scores") == 0

    coop = play(story)
    assert causes(coop) == ["fallback"] * 3
