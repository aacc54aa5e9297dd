"""A link that flaps, from the states on the broker to an alarm that blames the link."""

import copy
from collections.abc import Iterator

import msgspec
import pytest
from watch_messages import model, role
from watch_world import BEGIN, HOUR, MINUTE, QUICK, SECOND, House

from roost_broker.messages import ModelState, RoleState
from roost_rendezvous.analytics.reading import Reading
from roost_rendezvous.analytics.watch.hearing import observe
from roost_rendezvous.analytics.watch.links import Links
from roost_rendezvous.analytics.watch.observed import Observed, Standing
from roost_rendezvous.analytics.watch.watching import Watching

LEARNT = BEGIN + 120 * HOUR


def standing(message: RoleState | ModelState, at: int) -> Standing:
    one = observe(message, "henhouse" if isinstance(message, ModelState) else "", at)
    assert isinstance(one, Standing)
    return one


class Device:
    """A house, the states of its processes every ten minutes, and a way to the broker that may be cut."""

    def __init__(self) -> None:
        self.house = House(every=1_800 * SECOND)
        self.cut_every = 0
        self.linked = 1
        self.dropped_every = 0

    def until(self, moment: int) -> Iterator[Observed]:
        while self.house.now < moment:
            before = self.house.now
            heard = list(self.house.until(before + 1))
            heard += self.states(before, self.house.now)
            yield from sorted(heard, key=lambda one: one.heard)

    def states(self, since: int, until: int) -> Iterator[Standing]:
        for at in range(since, until, 10 * MINUTE):
            yield standing(role("capture-nest"), at)
            yield standing(role("gateway", linked=self.linked, oldest_age_ms=100), at)
            yield standing(model("champion"), at)
        if self.cut_every:
            for at in range(since, until, self.cut_every):
                for one in (role("capture-nest", "gone"), model("champion", "gone")):
                    yield standing(one, at)
                for back in (role("capture-nest"), model("champion")):
                    yield standing(back, at + 5 * SECOND)
        if self.dropped_every:
            for at in range(since, until, self.dropped_every):
                self.linked += 1
                yield standing(role("gateway", linked=self.linked, oldest_age_ms=100), at)


@pytest.fixture(scope="module")
def learnt() -> tuple[Device, bytes]:
    """What is known after five days in which the links held, and the device that goes on."""
    device, watch = Device(), Watching(QUICK)
    told = [said for one in device.until(LEARNT) for said in watch.handle(one)]
    assert "link" not in {one.episode.verdict for one in told}
    return device, msgspec.msgpack.encode(watch.snapshot(), enc_hook=lambda value: value.tolist())


@pytest.mark.parametrize(
    ("cut_every", "dropped_every", "verdict", "signal"),
    [
        (4 * MINUTE, 0, "link", "health/broker/lost"),
        (0, 6 * MINUTE, "link", "health/centre/lost"),
        (0, 0, "model", ""),
    ],
)
def test_what_is_late_while_a_link_flaps_is_blamed_on_the_link_and_else_on_the_model(
    learnt: tuple[Device, bytes], cut_every: int, dropped_every: int, verdict: str, signal: str
) -> None:
    device, watch = copy.deepcopy(learnt[0]), Watching(QUICK)
    watch.restore(msgspec.msgpack.decode(learnt[1]))
    device.house.slow = 3.0
    device.cut_every, device.dropped_every = cut_every, dropped_every
    told = [said for one in device.until(LEARNT + 4 * HOUR) for said in watch.handle(one)]
    assert [one.step for one in told].count("opened") == 1
    episode = told[-1].episode
    assert episode.verdict == verdict
    assert (signal in [one.signal for one in episode.contributions]) is bool(signal)


def readings(links: Links, now: int) -> dict[str, Reading]:
    return {one.signal.of: one for one in links.tick(now)}


def test_a_process_that_was_started_again_is_no_loss_and_one_that_came_back_with_its_session_is() -> None:
    links = Links()
    there, gone = (standing(role("capture-nest", state), BEGIN) for state in ("ready", "gone"))
    links.stand(there, there, BEGIN)
    links.stand(gone, there, BEGIN)
    links.stand(standing(role("capture-nest", session=2), BEGIN), gone, BEGIN)
    assert readings(links, BEGIN)["broker"].now == 0
    links.stand(there, gone, BEGIN)
    found = readings(links, BEGIN)["broker"]
    assert (found.now, found.surprise) == (1, 0.0)
    assert found.sentence == "the connection to the broker was lost once in the last hour (capture-nest)"


def test_everybody_who_loses_the_broker_at_once_is_one_loss_and_the_third_in_an_hour_is_a_surprise() -> None:
    links = Links()
    for minute in (0, 10, 20):
        for name in ("capture-nest", "decoy", "alerts"):
            gone, back = (standing(role(name, state), BEGIN) for state in ("gone", "ready"))
            links.stand(back, gone, BEGIN + minute * MINUTE)
        found = readings(links, BEGIN + minute * MINUTE)["broker"]
        assert (found.now, found.surprise) == (minute / 10 + 1, 3.0 if minute == 20 else 0.0)
    assert readings(links, BEGIN + 90 * MINUTE)["broker"].now == 0


def test_a_gateway_that_was_started_again_has_lost_no_link() -> None:
    links = Links()
    told = [standing(role("gateway", session=session, linked=9 * session), BEGIN) for session in (1, 2)]
    first = standing(role("gateway", linked=0), BEGIN)
    links.stand(told[1], told[0], BEGIN)
    links.stand(told[0], first, BEGIN)  # it came up for the first time, and then eight times more
    assert readings(links, BEGIN)["centre"].now == 0
    links.stand(standing(role("gateway", linked=11), BEGIN), told[0], BEGIN)
    assert readings(links, BEGIN)["centre"].now == 2


def test_what_was_lost_is_known_after_a_restart() -> None:
    links, again = Links(), Links()
    gone, back = (standing(role("decoy", state), BEGIN) for state in ("gone", "ready"))
    for minute in (0, 5, 10):
        links.stand(back, gone, BEGIN + minute * MINUTE)
    again.restore(links.snapshot())
    assert readings(again, BEGIN + 30 * MINUTE)["broker"].now == 3
    assert list(again.tick(BEGIN + HOUR)) == list(links.tick(BEGIN + HOUR))
