from pathlib import Path

import pytest
from central_world import DAY, T0, World, archived, request

from roost_broker.centre.envelope import Envelope
from roost_broker.errors import Misuse
from roost_models.archive.cases import open_cases
from roost_models.central.partitions import DAY_MS
from roost_models.central.reading import CentralArchive
from roost_models.central.view import Choice, View

HOUR = 3_600_000


def said(root: Path, choice: Choice | None = None) -> list[bytes]:
    return [one.payload for one in CentralArchive(root).timeline(choice)]


def test_files_and_what_is_still_staged_are_one(tmp_path: Path) -> None:
    world = World()
    archived(tmp_path, *(world.asked(number, at=T0) for number in range(3)), close=True)
    archived(tmp_path, *(world.asked(number, at=T0 + DAY_MS) for number in range(3, 5)))
    assert CentralArchive(tmp_path).count() == 5
    assert CentralArchive(tmp_path).tasks() == ["henhouse"]


def test_the_timeline_interleaves_devices_and_lanes_by_time(tmp_path: Path) -> None:
    world = World()
    messages = [
        world.say("roost/coop-1/henhouse/input", b"a", at=T0),
        world.say("roost/coop-2/henhouse/input", b"b", at=T0 + 1),
        world.say("roost/coop-1/henhouse/scores/champion", b"c", at=T0 + 2),
        world.say("roost/coop-1/henhouse/results/capture", b"d", at=T0 + 3),
        world.say("roost/coop-2/henhouse/scores/champion", b"e", at=T0 + 4),
    ]
    archived(tmp_path, *reversed(messages), close=True)
    assert said(tmp_path) == [b"a", b"b", b"c", b"d", b"e"]


def test_a_clock_that_steps_back_does_not_turn_messages_round(tmp_path: Path) -> None:
    world = World()
    later = T0 + 5 * DAY_MS
    moments = [T0, T0 + DAY_MS, T0 - 2 * DAY_MS, T0 - HOUR, T0 + DAY_MS + 1]
    messages = [
        world.say("roost/coop-1/henhouse/input", f"{number}".encode(), at=at, stored=later)
        for number, at in enumerate(moments)
    ]
    archived(tmp_path, *messages, close=True)
    assert said(tmp_path) == [b"0", b"1", b"2", b"3", b"4"]
    assert [one.payload for one in CentralArchive(tmp_path).rows()] == [b"0", b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice(from_ms=T0 + 1), [b"b", b"c", b"d"]),
        (Choice(until_ms=T0 + 1), [b"a"]),
        (Choice(from_ms=T0 + 1, until_ms=T0 + 2), [b"b"]),
        (Choice(task="door"), [b"c"]),
        (Choice(task="_device"), [b"d"]),
        (Choice(lanes=frozenset({"inputs"})), [b"a", b"b", b"c"]),
        (Choice(nodes=frozenset({"coop-2"})), [b"b"]),
        (Choice(nodes=frozenset({"nobody"})), []),
    ],
)
@pytest.mark.parametrize("close", [False, True])
def test_a_choice_gives_just_that(tmp_path: Path, choice: Choice, expected: list[bytes], close: bool) -> None:
    world = World()
    archived(
        tmp_path,
        world.say("roost/coop-1/henhouse/input", b"a", at=T0),
        world.say("roost/coop-2/henhouse/input", b"b", at=T0 + 1),
        world.say("roost/coop-1/door/input", b"c", at=T0 + 2),
        world.say("roost/coop-1/availability", b"d", at=T0 + 3),
        close=close,
    )
    assert said(tmp_path, choice) == expected


def test_what_tells_of_a_gap_is_kept_but_is_no_message(tmp_path: Path) -> None:
    world = World()
    archived(tmp_path, world.asked(1), world.say("roost/coop-1/gap", b"", seq=9, gap=(2, 9)), close=True)
    assert CentralArchive(tmp_path).count() == 1


def test_an_iteration_sees_one_moment_though_the_archiver_goes_on(tmp_path: Path) -> None:
    world = World()
    first = [world.asked(number, at=T0) for number in range(5)]
    archived(tmp_path, *first)
    with View(tmp_path) as view:
        archived(tmp_path, world.asked(9, at=T0), close=True)  # all of them move to a file now
        partition = view.partitions[0]
        assert list(view.of_partition(partition, Choice())) == first
    assert CentralArchive(tmp_path).count() == 6


def test_a_folder_without_an_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="no centre's archive"):
        CentralArchive(tmp_path)
    with pytest.raises(Misuse, match="no archive"):
        open_cases(tmp_path)


@pytest.mark.parametrize("close", [False, True])
def test_cases_join_all_that_was_said_of_a_request(tmp_path: Path, close: bool) -> None:
    world = World()
    archived(
        tmp_path,
        world.asked(1),
        world.scored(1, "fast"),
        world.declined(1, "champion"),
        world.answered(1),
        world.asked(2),
        world.scored(3, "stranger"),
        close=close,
    )
    source = open_cases(tmp_path)
    one, two = source.cases(task="henhouse")
    assert [(reply.model, type(reply).__name__) for reply in one.replies] == [
        ("champion", "Declined"),
        ("fast", "Score"),
    ]
    assert one.result is not None
    assert one.result.cause == "preferred"
    assert (one.node, one.at_ms, one.payload) == ("coop-1", T0, request(1))
    assert (two.replies, two.result) == ((), None)
    source.close()


def cases(root: Path, **choice: object) -> list[int]:
    return [int(one.request_id, 16) for one in CentralArchive(root).cases(task="henhouse", **choice)]  # type: ignore[arg-type]  # keywords of `cases`


def test_answers_after_midnight_belong_to_their_request(tmp_path: Path) -> None:
    world = World()
    midnight = T0 - T0 % DAY_MS + DAY_MS
    archived(
        tmp_path,
        world.asked(1, at=midnight - 5),
        world.scored(1, at=midnight + 5),
        world.answered(1, at=midnight + 6),
        close=True,
    )
    (one,) = CentralArchive(tmp_path).cases(task="henhouse")
    assert len(one.replies) == 1
    assert one.result is not None


def test_a_request_that_was_published_again_is_one_case_over_midnight_too(tmp_path: Path) -> None:
    world = World()
    midnight = T0 - T0 % DAY_MS + DAY_MS
    payload = request(1, at=midnight - 5)
    topic = "roost/coop-1/henhouse/input"
    archived(
        tmp_path, world.say(topic, payload, at=midnight - 5), world.say(topic, payload, at=midnight + 5), close=True
    )
    assert cases(tmp_path) == [1]


def test_cases_come_in_the_order_in_which_each_device_asked(tmp_path: Path) -> None:
    world = World()
    asked: list[Envelope] = []
    for number in range(450):  # more than a page
        asked.append(world.asked(number, node=f"coop-{1 + number % 2}", at=T0 + number))
    archived(tmp_path, *reversed(asked), close=True)
    assert cases(tmp_path) == [*range(0, 450, 2), *range(1, 450, 2)]
    assert cases(tmp_path, nodes=frozenset({"coop-2"})) == [*range(1, 450, 2)]
    assert cases(tmp_path, from_ms=T0 + 440, until_ms=T0 + 444) == [440, 442, 441, 443]


def test_a_period_is_about_when_it_was_asked_not_when_it_was_received(tmp_path: Path) -> None:
    world = World()
    payload = request(1, at=T0)
    archived(tmp_path, world.say("roost/coop-1/henhouse/input", payload, at=T0 + HOUR), close=True)
    assert cases(tmp_path, from_ms=T0, until_ms=T0 + 1) == [1]
    assert cases(tmp_path, from_ms=T0 + HOUR) == []


def test_what_does_not_decode_is_archived_but_no_case(tmp_path: Path) -> None:
    world = World()
    archived(tmp_path, world.say("roost/coop-1/henhouse/input", b"\xff"), world.asked(1), close=True)
    assert cases(tmp_path) == [1]
    assert CentralArchive(tmp_path).count(Choice(task="henhouse")) == 2
    assert CentralArchive(tmp_path).partitions()[0].day == DAY
