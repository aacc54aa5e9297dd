"""A running rendezvous server, or injector, is replaced under load, in virtual time (V19, L12, L13)."""

import asyncio
from pathlib import Path

import pytest
from coop import after
from handover_world import Handing, Refusing, Stage, play

from roost_broker.messages import Request, Token, encode
from roost_broker.presence import role_state
from roost_rendezvous.handover.conductor import Tell

SERVICE_MS = 30
COMPONENTS = ("rendezvous", "injector")


async def models(world: Handing, *, champion_ms: float = SERVICE_MS) -> None:
    await world.model("champion", after(champion_ms))
    await world.model("fast", after(5))


@pytest.mark.parametrize("component", COMPONENTS)
def test_under_load_nothing_is_lost_doubled_reordered_or_delayed(tmp_path: Path, component: str) -> None:
    async def story(world: Handing) -> None:
        await world.begin()
        await models(world)
        asking = asyncio.ensure_future(world.load(4))
        await asyncio.sleep(1)
        ended = await world.hand_over(component)
        assert ended.done, ended
        await asking
        await asyncio.sleep(4)
        assert not world.runs(f"{component}-nest")
        assert world.state(f"{component}-nest-b") == "ready"
        assert world.marked[component] == f"{component}-nest-b"

    world = play(tmp_path, story)
    world.assert_each_answered_once()
    assert len(world.asked) >= 190
    assert max(world.latencies_ms()) < 2 * SERVICE_MS, "no bump: less than one service time more than always"
    for numbers in world.order_of_results().values():
        assert numbers == sorted(numbers)


def test_both_servers_have_answered_and_the_journal_tells_it(tmp_path: Path) -> None:
    async def story(world: Handing) -> None:
        await world.begin()
        await models(world)
        asking = asyncio.ensure_future(world.load(3))
        await asyncio.sleep(1)
        await world.hand_over()
        await asking
        await asyncio.sleep(4)
        old, new = world.shells["rendezvous-nest"], world.shells["rendezvous-nest-b"]
        assert old.counts["preferred"] > 20
        assert new.counts["preferred"] > 20
        assert old.counts["preferred"] + new.counts["preferred"] == len(world.asked)

    play(tmp_path, story).assert_each_answered_once()
    names = {path.name for path in (tmp_path / "journal").glob("answers-*")}
    assert names == {"answers-000001.jsonl", "answers-000001-b.jsonl"}


def test_requests_asked_again_around_the_token_are_answered_with_the_same_bytes(tmp_path: Path) -> None:
    async def story(world: Handing) -> None:
        await world.begin()
        await models(world, champion_ms=250)
        asking = asyncio.ensure_future(world.load(4, again_after_ms=120))
        await asyncio.sleep(1)
        assert (await world.hand_over()).done
        await asking
        await asyncio.sleep(5)

    world = play(tmp_path, story)
    world.assert_each_answered_once()
    new = world.shells["rendezvous-nest-b"]
    assert new.counts["with-predecessor"] > 0, "some were open there when they were asked again here"
    payloads: dict[str, set[bytes]] = {}
    for topic, payload in world.bytes_seen:
        if "/results/" in topic:
            payloads.setdefault(payload.partition(b'"requestId":"')[2][:32].decode(), set()).add(payload)
    assert {len(each) for each in payloads.values()} == {1}


def test_a_request_answered_by_the_old_one_long_ago_is_repeated_by_the_new_one(tmp_path: Path) -> None:
    async def story(world: Handing) -> None:
        await world.begin()
        await models(world)
        request = world.ask(1)
        await asyncio.sleep(1)
        assert (await world.hand_over()).done
        await asyncio.sleep(1)
        world.ask(1, attempt=2, request=request)
        await asyncio.sleep(3)
        assert len(world.results()[request.request_id]) == 2
        assert world.shells["rendezvous-nest-b"].counts["repeated-request-answered"] == 1

    play(tmp_path, story).assert_each_answered_once()


def test_a_request_answered_by_the_old_one_in_its_last_moments_is_repeated_by_the_new_one(tmp_path: Path) -> None:
    async def story(world: Handing) -> None:
        await world.begin()
        await models(world, champion_ms=500)
        conducting = asyncio.ensure_future(world.hand_over())
        await asyncio.sleep(0.49)
        requests = [world.ask(number) for number in range(20)]
        assert (await conducting).done
        await asyncio.sleep(1)
        for request in requests:
            world.ask(1, attempt=2, request=request)
        await asyncio.sleep(5)
        assert world.shells["rendezvous-nest"].counts["preferred"] == 20

    play(tmp_path, story).assert_each_answered_once()


def test_a_score_that_comes_before_its_request_counts_after_the_hand_over_too(tmp_path: Path) -> None:
    async def story(world: Handing) -> None:
        await world.begin()
        await models(world, champion_ms=1000)
        assert (await world.hand_over()).done
        request = world.request()
        early = await world.model("other", after(5000))
        early.name = "champion"
        early.score(request.request_id, "early")
        await asyncio.sleep(0.1)
        world.ask(1, request=request)
        await asyncio.sleep(4)

    world = play(tmp_path, story)
    assert world.only_result().answer is not None
    assert world.only_result().answer.label == "early"  # type: ignore[union-attr]  # the line before says so


def test_a_score_that_overtakes_the_token_counts_for_the_request_behind_it(tmp_path: Path) -> None:
    async def story(world: Handing) -> None:
        await world.begin()
        await models(world, champion_ms=1900)  # too late to count
        request = world.request()
        early = await world.model("other", after(5000))
        early.name = "champion"

        handing_over = world.conducted()

        def tell(step: Tell) -> None:
            if step.phase == "transition":  # the token is about to be sent
                early.score(request.request_id, "early")

        handing_over._tell = tell
        assert (await handing_over.run()).done
        world.ask(1, request=request)
        await asyncio.sleep(4)
        assert world.shells["rendezvous-nest-b"].counts["standby"] >= 1

    world = play(tmp_path, story)
    assert world.only_result().answer is not None
    assert world.only_result().answer.label == "early"  # type: ignore[union-attr]  # the line before says so


@pytest.mark.parametrize("component", COMPONENTS)
def test_the_same_again_goes_back_to_the_first_slot(tmp_path: Path, component: str) -> None:
    async def story(world: Handing) -> None:
        await world.begin()
        await models(world)
        asking = asyncio.ensure_future(world.load(13, every_ms=40))
        for slot in ("", "b", ""):
            ended = await world.hand_over(component, slot)
            assert ended.done, ended
        await asking
        await asyncio.sleep(4)
        assert world.runs(f"{component}-nest-b")
        assert not world.runs(f"{component}-nest")

    world = play(tmp_path, story)
    world.assert_each_answered_once()
    assert max(world.latencies_ms()) < 2 * SERVICE_MS


def test_the_broker_keeps_no_session_of_the_one_that_has_ended(tmp_path: Path) -> None:
    async def story(world: Handing) -> None:
        await world.begin()
        await models(world)
        assert (await world.hand_over()).done
        await world.load(2)
        await asyncio.sleep(3)
        assert world.broker.waiting("rendezvous-nest") == 0

    play(tmp_path, story)


# killed


@pytest.mark.parametrize("seconds", [0.51, 0.7, 1.2])
def test_a_successor_killed_in_standby_is_removed_and_the_old_one_stays(tmp_path: Path, seconds: float) -> None:
    async def story(world: Handing) -> None:
        await world.begin()
        await models(world)
        stage = Stage(world, "rendezvous", "b")
        asking = asyncio.ensure_future(world.load(4))
        world.shells["rendezvous-nest"]._succession._write = lambda *_: None  # type: ignore[union-attr,method-assign]  # a card that is full
        conducting = asyncio.ensure_future(world.hand_over(stage=stage))
        await asyncio.sleep(seconds)
        await world.kill("rendezvous-nest-b")
        ended = await conducting
        assert not ended.done
        assert ended.in_charge == "rendezvous-nest"
        assert "rendezvous-nest-b" in ended.problem
        await asking
        await asyncio.sleep(4)
        assert stage.forgotten == ["rendezvous-nest-b"]
        assert world.broker.waiting("rendezvous-nest-b") == 0
        assert "rendezvous" not in world.marked

    world = play(tmp_path, story)
    world.assert_each_answered_once()
    assert max(world.latencies_ms()) < 2 * SERVICE_MS


def test_a_successor_killed_after_the_token_returns_and_answers_what_is_its_own(tmp_path: Path) -> None:
    async def story(world: Handing) -> None:
        await world.begin()
        await models(world)
        asking = asyncio.ensure_future(world.load(5))
        conducting = asyncio.ensure_future(world.hand_over())
        await world.taken_over.wait()
        await asyncio.sleep(0.05)
        await world.kill("rendezvous-nest-b")
        await asyncio.sleep(0.3)
        world.start("rendezvous", "b", resumes=True)
        assert (await conducting).done
        await asking
        await asyncio.sleep(5)
        await world.ask_again_what_is_open()
        await asyncio.sleep(4)

    play(tmp_path, story).assert_each_answered_once()


def test_an_old_one_killed_in_the_middle_leaves_its_open_requests_to_the_new_one(tmp_path: Path) -> None:
    async def story(world: Handing) -> None:
        await world.begin()
        await models(world, champion_ms=400)
        asking = asyncio.ensure_future(world.load(3))
        await asyncio.sleep(1)
        conducting = asyncio.ensure_future(world.hand_over())
        await world.taken_over.wait()
        await asyncio.sleep(0.02)
        await world.kill("rendezvous-nest")  # and it is not started again, for the other one is in charge
        assert (await conducting).done
        await asking
        await asyncio.sleep(3)
        unanswered = len(world.asked.keys() - world.answers().keys())
        assert unanswered > 5, "they were open in the one that was killed"
        await world.ask_again_what_is_open()
        await asyncio.sleep(4)

    play(tmp_path, story).assert_each_answered_once()


def test_an_old_one_that_dies_before_the_token_ends_the_attempt(tmp_path: Path) -> None:
    async def story(world: Handing) -> None:
        await world.begin()
        await models(world)
        world.shells["rendezvous-nest"]._succession._write = lambda *_: None  # type: ignore[union-attr,method-assign]  # never gets further
        conducting = asyncio.ensure_future(world.hand_over())
        await asyncio.sleep(0.8)
        await world.kill("rendezvous-nest")
        world.start("rendezvous")
        ended = await conducting
        assert not ended.done
        assert "no longer in charge" in ended.problem
        await world.load(1)
        await asyncio.sleep(3)
        assert not world.runs("rendezvous-nest-b")

    play(tmp_path, story).assert_each_answered_once()


def test_a_successor_that_cannot_be_started_is_said_with_the_remedy(tmp_path: Path) -> None:
    async def story(world: Handing) -> None:
        await world.begin()
        ended = await world.hand_over(stage=Refusing(world, "rendezvous", "b"))
        assert (ended.done, ended.in_charge) == (False, "rendezvous-nest")
        assert (ended.problem, ended.remedy) == ("rendezvous-nest-b cannot be started.", "Do it by hand.")

    play(tmp_path, story)


def test_a_hand_over_that_is_given_up_before_the_token_leaves_the_old_one_in_charge(tmp_path: Path) -> None:
    async def story(world: Handing) -> None:
        await world.begin()
        await models(world)
        world.shells["rendezvous-nest"]._succession._write = lambda *_: None  # type: ignore[union-attr,method-assign]  # never gets further
        conducting = asyncio.ensure_future(world.hand_over())
        await asyncio.sleep(1)
        conducting.cancel()
        ended = await conducting
        assert not ended.done
        assert not world.runs("rendezvous-nest-b")
        await world.load(1)
        await asyncio.sleep(3)

    play(tmp_path, story).assert_each_answered_once()


# a broker that forgets


class Losing(Stage):
    """The transition token does not reach one of the two: the broker was killed with it in hand."""

    loses = ""

    async def start(self, role: str) -> None:
        await super().start(role)
        succession = self.world.shells[self.loses]._succession  # type: ignore[union-attr]  # a server
        meets = succession.token
        succession.token = lambda token: meets(token) if token.kind == "snapshot" else None  # type: ignore[method-assign]


@pytest.mark.parametrize("loses", ["rendezvous-nest", "rendezvous-nest-b"])
def test_a_token_that_only_one_of_them_meets_is_made_good_by_the_others_word(tmp_path: Path, loses: str) -> None:
    async def story(world: Handing) -> None:
        await world.begin()
        await models(world)
        stage = Losing(world, "rendezvous", "b")
        stage.loses = loses
        asking = asyncio.ensure_future(world.load(3))
        assert (await world.hand_over(stage=stage)).done
        await asking
        await asyncio.sleep(4)
        await world.ask_again_what_is_open()
        await asyncio.sleep(4)
        assert world.shells[loses].counts["token-lost"] == 1
        assert world.marked["rendezvous"] == "rendezvous-nest-b"
        assert not world.runs("rendezvous-nest")

    world = play(tmp_path, story)
    assert world.answers().keys() == world.asked.keys()


def test_a_token_with_a_location_outside_its_folder_writes_nothing(tmp_path: Path) -> None:
    async def story(world: Handing) -> None:
        await world.begin()
        conducted = world.conducted()
        conducted._folder = tmp_path / "elsewhere"
        ended = await conducted.run()
        assert not ended.done
        assert world.shells["rendezvous-nest"].counts["dead-letters"] == 1

    play(tmp_path, story)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("forged", "words"),
    [("rendezvous-nest-b", "in charge since hand-over"), ("rendezvous-nest", "finishing after hand-over")],
)
def test_a_state_that_names_a_place_instead_of_a_hand_over_leads_nowhere(
    tmp_path: Path, forged: str, words: str
) -> None:
    async def story(world: Handing) -> None:
        await world.begin()
        if forged == "rendezvous-nest":
            world.start("rendezvous", "b", standby=True)
            await asyncio.sleep(1)
        detail = f"{words} {tmp_path}/elsewhere"
        state = role_state(world.topics, forged, 99, world.clock, "ready", detail=detail)
        world._buses[0].publish(world.topics.role(forged), encode(state), retain=True)
        await asyncio.sleep(3)
        assert world.marked == {}

    play(tmp_path, story)
    assert not (tmp_path / "elsewhere").exists()


# the stream


def test_models_and_input_see_the_tokens_in_line(tmp_path: Path) -> None:
    async def story(world: Handing) -> None:
        await world.begin()
        await world.input_order()
        await models(world)
        asking = asyncio.ensure_future(world.load(2))
        await asyncio.sleep(0.5)
        assert (await world.hand_over("injector")).done
        await asking
        await asyncio.sleep(3)

    world = play(tmp_path, story)
    numbers = [one.input.values["number"] for one in world.inputs if isinstance(one, Request)]  # type: ignore[index]
    assert numbers == sorted(numbers)
    assert len(numbers) == len(set(numbers)) == len(world.asked)
    assert [one.kind for one in world.inputs if isinstance(one, Token)] == ["snapshot", "transition"]


def test_an_injector_that_hands_over_adds_no_delay(tmp_path: Path) -> None:
    async def story(world: Handing) -> None:
        await world.begin()
        await models(world)
        asking = asyncio.ensure_future(world.load(3, every_ms=1))
        await asyncio.sleep(0.5)
        assert (await world.hand_over("injector")).done
        await asking
        await asyncio.sleep(3)

    world = play(tmp_path, story)
    world.assert_each_answered_once()
    assert max(world.latencies_ms()) < 2 * SERVICE_MS
