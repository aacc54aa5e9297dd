"""From what is heard to alarms, on a virtual clock: five days are learnt once, and each story begins from there."""

import copy
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from watch_world import BEGIN, HOUR, MINUTE, QUICK, SECOND, House

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.reading import Signal
from roost_rendezvous.analytics.watch.observed import (
    Acknowledged,
    Observed,
    RanOn,
    Standing,
    Stepped,
    Traced,
    pack,
    unpack,
)
from roost_rendezvous.analytics.watch.parts import Told
from roost_rendezvous.analytics.watch.planning import Happened
from roost_rendezvous.analytics.watch.settings import AnalyticsSettings
from roost_rendezvous.analytics.watch.streams import Streams
from roost_rendezvous.analytics.watch.watching import Watching
from roost_rendezvous.analytics.watch.windowing import Windowing, closed_of

LEARNT = BEGIN + 120 * HOUR


def plain(state: Any) -> Any:
    """As the card gives it back."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(state, enc_hook=lambda value: value.tolist()))


@pytest.fixture(scope="module")
def learnt() -> tuple[Any, House]:
    """What a watch knows after five quiet days, and the house that goes on."""
    watch, house = Watching(QUICK, Windowing()), House()
    for one in house.until(LEARNT):
        watch.handle(one)
    return plain(watch.snapshot()), house


class Story:
    """A watch and a house that go on from there."""

    def __init__(self, learnt: tuple[Any, House]) -> None:
        self.watch, self.house = Watching(QUICK, Windowing()), copy.deepcopy(learnt[1])
        self.watch.restore(learnt[0])
        self.told: list[Told] = []

    def hear(self, observed: Iterable[Observed]) -> None:
        for one in observed:
            self.told += self.watch.handle(one)

    def until(self, hours: float) -> "Story":
        self.hear(self.house.until(LEARNT + round(hours * HOUR)))
        return self

    def opened(self) -> list[Told]:
        return [one for one in self.told if one.step == "opened"]


def test_a_model_that_calls_a_breed_otherwise_is_one_alarm_that_blames_the_model_and_names_its_new_version(
    learnt: tuple[Any, House],
) -> None:
    story = Story(learnt)
    story.house.relabelled.add("champion")
    story.house.versions["champion"] = "2"
    story.until(8)
    [opened] = story.opened()
    assert opened.episode.task == "henhouse"
    assert (opened.episode.culprit and opened.episode.culprit.of) == "champion"
    newest = story.watch.overview("henhouse").episodes[0]
    assert newest.verdict == "model"
    assert "champion 2 speaks, before it was 1" in [mark.text for mark in newest.markers]


def test_a_smeared_camera_is_an_alarm_that_blames_no_model(learnt: tuple[Any, House]) -> None:
    story = Story(learnt)
    story.house.sharpness, story.house.bytes = 2.0, 20_000.0
    story.until(8)
    [opened] = story.opened()
    assert story.watch.overview("henhouse").episodes[0].verdict in ("camera", "world")
    assert opened.episode.culprit is not None
    assert opened.episode.culprit.subject == "camera"


def test_an_acknowledged_alarm_is_the_new_normal_and_the_same_word_again_is_late(learnt: tuple[Any, House]) -> None:
    story = Story(learnt)
    story.house.sharpness, story.house.bytes = 2.0, 20_000.0
    story.until(8)
    [opened] = story.opened()
    found = story.watch.find(opened.episode.id[:6] if opened.episode.id[:6].strip("0") else opened.episode.id)
    word = Acknowledged(story.house.now, found.id, "keeper")
    story.hear([word, word])
    assert [one.step for one in story.told].count("acknowledged") == 1
    assert story.watch.counts["acknowledged-late"] == 1
    with pytest.raises(Misuse, match="no open alarm"):
        story.watch.find("ffff")


def test_what_is_handled_again_after_a_kill_gives_the_same_state_and_the_same_words(learnt: tuple[Any, House]) -> None:
    straight, killed = Story(learnt), Story(learnt)
    for story in (straight, killed):
        story.house.relabelled.add("champion")
    heard = list(straight.house.until(LEARNT + 6 * HOUR))
    straight.hear(heard)
    journal = [pack(one) for one in heard]
    killed.hear(heard[: len(heard) // 3])
    again = Story((plain(killed.watch.snapshot()), straight.house))
    again.hear(unpack(body) for body in journal[len(heard) // 3 :])
    assert [one.key for one in killed.told + again.told] == [one.key for one in straight.told]
    states = [plain(story.watch.snapshot()) for story in (again, straight)]
    for part in ("now", "looked", "joining", "windows", "versions"):  # detectors keep their figures rounded
        assert states[0][part] == states[1][part], part
    assert len(states[0]["streams"]) == len(states[1]["streams"])


@pytest.mark.parametrize(("told", "strange"), [(True, False), (False, True)])
def test_time_for_which_the_device_was_off_is_no_silence_when_somebody_says_so(told: bool, strange: bool) -> None:
    streams, signal = Streams(10), Signal(task="t", kind="rate", subject="task", part="requests")
    at = BEGIN
    while at < BEGIN + 9 * 24 * HOUR:
        at += MINUTE
        streams.feed([Happened(signal, "requests")], at)
    streams.tick(at)
    at += 5 * HOUR
    if told:
        streams.resume(at)
    for reading in streams.tick(at + SECOND)[:2]:  # the rate, and its silences
        assert reading.surprise is not None
        assert (reading.surprise > 5) is strange


def test_models_that_are_known_for_long_enough_to_be_blamed_are_named(
    learnt: tuple[Any, House],
) -> None:
    story = Story(learnt).until(0.5)
    assert story.watch.overview("henhouse").judged == ("canary", "champion", "fast")


def test_a_clock_that_was_set_is_a_reading_of_its_own(learnt: tuple[Any, House]) -> None:
    story = Story(learnt)
    story.hear([Stepped(story.house.now + SECOND, -3_600 * SECOND)])
    story.watch.expire(story.house.now + 15 * MINUTE)
    stands = {one.signal: one for one in story.watch.standing().signals}
    assert stands["health/set"].subject == "clock"
    assert (stands["health/set"].nines or 0) > 2


def test_steps_of_traces_work_after_the_answer_and_what_processes_cost_are_watched_without_being_asked_for() -> None:
    watch = Watching(QUICK)
    for number in range(40):
        at = BEGIN + number * MINUTE
        watch.handle(Traced(at, f"{number}", "t", "1", "model champion", {"evaluate": 5.0, "wait": 1.0}))
        watch.handle(RanOn(at, "", "t", "slow", 300.0))
        watch.handle(Standing(at, f"s{number}", "t", "champion", "ready", "1", 1, 50_000_000, number * 600))
    names = {one.signal for one in watch.standing().signals}
    assert {"t/latency/champion/evaluate", "t/latency/champion/wait (traced)"} <= names
    assert {"t/quality/slow/ran-on", "t/health/champion/memory", "t/health/champion/processor"} <= names


def test_with_little_history_there_is_a_reason_and_no_alarm() -> None:
    watch, house = Watching(AnalyticsSettings(look_s=600)), House()
    told = [one for heard in house.until(BEGIN + 12 * HOUR) for one in watch.handle(heard)]
    overview = watch.overview("henhouse")
    assert told == []
    assert (overview.able, overview.judged) == (0, ())
    assert "not" in overview.why_not
    assert overview.since > 0


def test_of_more_streams_than_there_is_room_the_newest_are_left_out_and_counted() -> None:
    watch = Watching(AnalyticsSettings(streams=10))
    for number in range(50):
        watch.handle(Traced(BEGIN + number, f"{number}", "t", "1", f"model m{number}", {"evaluate": 5.0}))
    assert watch.left_out == 40


def test_windows_hold_every_row_once_and_durations_with_what_could_not_be_asked() -> None:
    watch, house = Watching(QUICK, Windowing()), House(every=10 * SECOND)
    for one in house.until(BEGIN + HOUR):
        watch.handle(one)
    rows = watch.take_rows()
    closed = closed_of(plain(watch.take_closed()))
    first = [one for one in closed if one.period * SECOND < BEGIN + 1_800 * SECOND]
    early = [row for row in rows if row.at < BEGIN + 1_800 * SECOND]
    whole = sum(one.sketch.count for one in first if one.about.kind == "latency" and not one.about.model)
    assert whole == len(early)
    assert {"latency-corrected", "compute", "score", "input", "answer"} <= {one.about.kind for one in closed}
    assert watch.take_closed() == []
