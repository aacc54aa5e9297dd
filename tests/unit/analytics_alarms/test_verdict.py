"""What changed, from who moved and who did not (requirement K4)."""

import pytest
from alarm_world import MINUTE

from roost_rendezvous.analytics.alarms.episode import Marker
from roost_rendezvous.analytics.alarms.verdict import Mover, judge
from roost_rendezvous.analytics.reading import Kind, Signal, Subject


def signal(subject: Subject, of: str = "", kind: Kind = "score") -> Signal:
    return Signal(task="henhouse", kind=kind, subject=subject, of=of or subject)


CHAMPION, CANARY = signal("model", "champion"), signal("canary", "canary")
BRIGHTNESS, FRAMES = signal("input", "frame.brightness", "input"), signal("camera", "nest", "rate")
CLOCK, LINK, DOOR = signal("clock", kind="health"), signal("link", kind="missing"), signal("state", "door", "input")
SEEN = signal("task", "requests", "rate")
SLOW, CANARY_SLOW = signal("model", "champion", "latency"), signal("canary", "canary", "latency")


def verdict(moved: list[tuple[Signal, int]], quiet: list[Signal]) -> str:
    return judge([Mover(one, minute * MINUTE) for one, minute in moved], quiet).verdict


@pytest.mark.parametrize(
    ("moved", "quiet", "expected"),
    [
        ([(CHAMPION, 0)], [CANARY], "model"),
        ([(CHAMPION, 0), (CANARY, 3)], [], "world"),
        ([(CANARY, 0)], [CHAMPION], "world"),
        ([(BRIGHTNESS, 0), (CHAMPION, 30), (CANARY, 40)], [], "camera"),
        ([(BRIGHTNESS, 5), (CHAMPION, 0), (CANARY, 2)], [], "camera"),
        ([(CHAMPION, 0), (CANARY, 2), (BRIGHTNESS, 120)], [], "world"),
        ([(FRAMES, 90), (CHAMPION, 0), (CANARY, 0)], [], "camera"),
        ([(BRIGHTNESS, 0)], [CHAMPION, CANARY], "camera"),
        ([(CHAMPION, 0), (BRIGHTNESS, 10)], [CANARY], "camera"),  # no model moves the camera's figures
        ([(CHAMPION, 0), (BRIGHTNESS, 120)], [CANARY], "model"),
        ([(CHAMPION, 0), (CANARY, 0), (CLOCK, 1)], [], "clock"),
        ([(LINK, 0), (SEEN, 0), (CHAMPION, 5)], [CANARY], "link"),
        ([(SEEN, 0)], [CHAMPION, CANARY], "world"),
        ([(DOOR, 0)], [CHAMPION], "world"),
        ([(CHAMPION, 0)], [signal("model", "fast")], "model"),
        ([(CHAMPION, 0)], [], "unknown"),
        ([(signal("device", "memory", "health"), 0)], [CHAMPION], "unknown"),
        ([(signal("device", "store", "latency"), 0), (CHAMPION, 0), (CANARY, 0)], [], "unknown"),
        ([(CHAMPION, 0), (signal("device", "store", "latency"), 0)], [CANARY], "model"),
        ([(CHAMPION, 0), (CANARY_SLOW, 0)], [CANARY], "model"),  # how long it takes says nothing of what it sees
        ([(CHAMPION, 0)], [CANARY_SLOW], "unknown"),
        ([(CHAMPION, 0)], [signal("model", "fast", "latency")], "unknown"),
        ([(CANARY_SLOW, 0)], [CANARY, CHAMPION, SLOW], "unknown"),
        ([(SLOW, 0), (CANARY_SLOW, 0)], [CANARY, CHAMPION, signal("model", "fast", "latency")], "unknown"),
        ([(SLOW, 0)], [CANARY, CHAMPION, CANARY_SLOW], "model"),
        ([(SLOW, 0)], [CANARY, CHAMPION], "unknown"),
        ([(SEEN, 0), (SLOW, 0), (CANARY_SLOW, 0)], [CANARY, CHAMPION], "world"),
        ([(SLOW, 0), (BRIGHTNESS, 120)], [CANARY, CHAMPION, CANARY_SLOW], "camera"),
        ([], [], "unknown"),
    ],
)
def test_the_verdict_follows_from_who_moved_first(
    moved: list[tuple[Signal, int]], quiet: list[Signal], expected: str
) -> None:
    assert verdict(moved, quiet) == expected


def test_the_reasons_name_the_signals_and_the_witness() -> None:
    (reason,) = judge([Mover(CHAMPION, 0)], [CANARY]).reasons
    assert "henhouse/score/champion" in reason
    assert "henhouse/score/canary" in reason


def test_without_a_canary_another_model_is_the_witness_and_the_reasons_say_so() -> None:
    reasons = judge([Mover(CHAMPION, 0)], [signal("model", "fast")]).reasons
    assert "fast did not" in reasons[0]
    assert "No canary" in reasons[1]


def test_a_roll_out_step_shortly_before_is_among_the_reasons_when_it_is_about_what_moved() -> None:
    step = Marker(at=0, text="champion 4 answers 10 %", task="henhouse", model="champion")
    other = Marker(at=0, text="fast 2 answers 10 %", task="henhouse", model="fast")
    reasons = judge([Mover(CHAMPION, 0)], [CANARY], [step, other]).reasons
    assert reasons[-1] == "Shortly before: champion 4 answers 10 %."
    assert not any("fast 2" in reason for reason in reasons)


def test_a_crowd_is_named_in_part() -> None:
    crowd = [Mover(signal("model", f"m{number}"), 0) for number in range(9)]
    assert "and 5 more" in judge(crowd, [CANARY]).reasons[0]


def test_what_only_tells_how_a_model_works_has_a_sentence_of_its_own() -> None:
    (reason,) = judge([Mover(SLOW, 0)], [CANARY, CHAMPION, CANARY_SLOW]).reasons
    assert reason.startswith("Only how champion works has changed (henhouse/latency/champion), not what it says")
    assert "henhouse/latency/canary" in reason
    (reason,) = judge([Mover(SLOW, 0), Mover(CANARY_SLOW, 0)], [CANARY, CHAMPION]).reasons
    assert reason.startswith("Only how canary and champion work has changed")
    assert "the device" in reason
