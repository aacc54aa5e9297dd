"""The small picture of a schedule, and what an operator is told of the one in force."""

from pathlib import Path

import pytest

from roost_broker.errors import PeerError
from roost_broker.messages import RoleState, ScheduleSet
from roost_rendezvous import schedule as schedules
from roost_rendezvous.schedule import Schedule, to_object
from roost_rendezvous.schedule_report import Knowledge, reigns, show
from roost_rendezvous.server.schedule_history import Entry
from roost_rendezvous.survey import Survey
from roost_rendezvous.timeline import draw

SHIPPED = Path(__file__).resolve().parents[3] / "models" / "henhouse" / "schedule.toml"


def ladder(first: str = "champion", **more: object) -> Schedule:
    return schedules.parse(
        {
            "task": "nest",
            "sla_ms": 2000,
            "step": [{"after_ms": 0, "accept": [first]}, {"after_ms": 1000, "accept": ["slow", "*"]}],
            "default": {"after_ms": 1900, "label": "unknown"},
            **more,
        }
    )


def test_the_picture_of_the_shipped_schedule_is_the_one_expected() -> None:
    assert draw(schedules.load(SHIPPED), width=40) == [
        "           0           600         1200          1900 2000 ms",
        "champion   ██████████████████████████████████████  │",
        "fast       ············██████████████████████████  │",
        "any other  ························██████████████  │",
        "canary     ······································  │  never official",
        "default    ······································◆ unknown",
    ]


def test_the_picture_tells_of_roll_outs_lots_samples_and_quorums() -> None:
    rolled = draw(ladder(rollout={"new": 0.1}, sample={"slow": 0.25}))
    assert any(line.startswith("new ") and "0.1 of the camera values" in line for line in rolled)
    assert any(line.startswith("slow ") and "0.25 of the requests" in line for line in rolled)
    drawn = draw(ladder(random={"champion": 0.9, "new": 0.1}))
    assert any(line.startswith("new ") and "chance 0.1" in line for line in drawn)
    jury = draw(ladder("jury", quorum={"jury": {"members": ["a", "b", "c"], "need": 2}}))
    assert any(line.startswith("jury ") and "2 of a, b, c" in line for line in jury)


@pytest.mark.parametrize("sla_ms", [20, 3_600_000])
def test_the_picture_fits_any_times(sla_ms: int) -> None:
    steps = [{"after_ms": number, "accept": [f"m{number}"]} for number in range(10)]
    crowded = schedules.parse(
        {"task": "t", "sla_ms": sla_ms, "step": steps, "default": {"after_ms": sla_ms - 1, "label": "x" * 50}}
    )
    assert all(len(line) <= 140 for line in draw(crowded))


def on_topic(schedule: Schedule, message_id: str = "1" * 32) -> Survey:
    message = ScheduleSet(
        timestamp=5, message_id=message_id, task="nest", version=schedule.version, schedule=to_object(schedule),
        author="ann", why="jays",
    )  # fmt: skip
    state = RoleState(timestamp=5, message_id="2" * 32, role="rendezvous-nest", state="ready", session=1)
    return Survey(schedule=message, roles={"rendezvous-nest": state})


def entry(schedule: Schedule, message_id: str, requests: int = 0) -> Entry:
    totals = {"requests": requests, "preferred": requests}
    return Entry(
        at=7, version=schedule.version, schedule=to_object(schedule), author="bob", message_id=message_id, totals=totals
    )


def test_the_schedule_in_force_is_told_with_author_reason_sentences_and_picture() -> None:
    shown = show("nest", on_topic(ladder()), Knowledge())
    assert (shown.version, shown.author, shown.why, shown.at) == (ladder().version, "ann", "jays", 5)
    assert shown.standing == f"{ladder().version} is in force."
    assert shown.explanation
    assert shown.timeline


def test_a_schedule_that_was_replaced_is_not_taken_for_the_one_in_force() -> None:
    old, new = ladder(), ladder("other")
    known = Knowledge(history=[entry(old, "1" * 32), entry(new, "3" * 32)])
    shown = show("nest", on_topic(old), known)
    assert shown.version == new.version
    assert "although the topic has" in shown.standing


def test_without_a_broker_or_a_rendezvous_the_standing_says_so() -> None:
    known = Knowledge(history=[entry(ladder(), "1" * 32)])
    assert "No broker answers" in show("nest", None, known).standing
    alone = on_topic(ladder())
    alone.roles.clear()
    assert "rendezvous is absent" in show("nest", alone, known).standing
    with pytest.raises(PeerError, match="No schedule"):
        show("nest", None, Knowledge())


def test_the_history_says_what_was_answered_under_each_schedule() -> None:
    known = Knowledge(
        history=[entry(ladder(), "1" * 32, 0), entry(ladder("other"), "3" * 32, 40)],
        totals={"requests": 45, "preferred": 43, "default": 2},
    )
    assert [reign.counts for reign in reigns(known)] == [
        {"requests": 40, "preferred": 40},
        {"requests": 5, "preferred": 3, "default": 2},
    ]


def test_counts_that_were_not_written_yet_are_none_and_never_negative() -> None:
    known = Knowledge(history=[entry(ladder(), "1" * 32, 40)], totals={"requests": 12})
    assert [reign.counts for reign in reigns(known)] == [{"requests": 0}]
    assert reigns(Knowledge()) == []
