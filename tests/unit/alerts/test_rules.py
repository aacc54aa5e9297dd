"""Rules: what makes a notice, and what holds one back."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from roost_broker.clock import MS, SECOND
from roost_edge.alerts.rule_settings import RuleSettings
from roost_edge.alerts.rules import Fired, Held, Keep, RuleMemory, Rules
from roost_edge.alerts.sightings import ResultSeen

ZONE = ZoneInfo("Europe/Zurich")
CAMERAS = ("nest", "yard")


def wall(text: str) -> int:
    """Local time of a Tuesday, or with a date."""
    moment = text if "T" in text else f"2026-06-09T{text}"
    return int(datetime.fromisoformat(moment).replace(tzinfo=ZONE).timestamp()) * SECOND


def seen(label: str | None = "hen", at: str = "12:00", **fields: Any) -> ResultSeen:
    more = {"request_id": "a" * 32, "task": "henhouse", "camera": "nest", "score": 0.9, **fields}
    return ResultSeen(label=label, at_ms=wall(at) // MS, **more)


def rules(**settings: Any) -> Rules:
    return Rules({"hens": RuleSettings(**settings)}, ZONE, cameras=CAMERAS, quiet=("empty_nest",))


def fired(core: Rules, event: ResultSeen, *, now: int = 0, at: str = "12:00", **more: Any) -> bool:
    return any(isinstance(one, Fired) for one in core.handle(event, now, wall(at), **more))


def held(core: Rules, event: ResultSeen, *, now: int = 0, at: str = "12:00", **more: Any) -> list[str]:
    return [one.why for one in core.handle(event, now, wall(at), **more) if isinstance(one, Held)]


def absent(core: Rules, at: str, **more: Any) -> bool:
    return any(isinstance(one, Fired) and one.kind == "absent" for one in core.expire(wall(at), **more))


@pytest.mark.parametrize(
    ("settings", "event", "fits"),
    [
        ({}, {}, True),
        ({}, {"label": None}, False),
        ({}, {"label": "empty_nest"}, False),
        ({"labels": ("empty_nest",)}, {"label": "empty_nest"}, True),
        ({"labels": ("egg", "hen")}, {}, True),
        ({"labels": ("egg",)}, {}, False),
        ({"min_score": 0.95}, {}, False),
        ({"min_score": 0.9}, {}, True),
        ({}, {"score": float("nan")}, False),
        ({"cameras": ("yard",)}, {}, False),
        ({"tasks": ("henhouse",)}, {}, True),
        ({"tasks": ("door",)}, {}, False),
        ({"zone": "feeder"}, {}, False),
        ({"zone": "feeder"}, {"tags": {"zone": "gate, feeder"}}, True),
        ({"zone": "feed"}, {"tags": {"zone": "feeder"}}, False),
    ],
)
def test_a_rule_fires_for_what_fits_it_and_is_not_concerned_by_anything_else(
    settings: dict[str, Any], event: dict[str, Any], fits: bool
) -> None:
    core = rules(**settings)
    event = {"label": "hen", **event}
    assert (fired(core, seen(**event)), held(core, seen(**event))) == (fits, ["duplicate"] if fits else [])


def test_after_a_notice_a_rule_is_silent_for_its_cooldown_by_the_monotonic_clock() -> None:
    core = rules(cooldown_s=60)
    assert fired(core, seen(request_id="1"))
    assert held(core, seen(request_id="2"), now=59 * SECOND, at="23:00") == ["cooldown"]
    assert fired(core, seen(request_id="3"), now=60 * SECOND, at="01:00")


def test_hours_and_days_are_those_of_the_zone() -> None:
    core = rules(hours="22:00-06:00", days=("tue",), cooldown_s=0)
    assert held(core, seen(request_id="1"), at="21:59") == ["hours"]
    assert fired(core, seen(request_id="2"), at="22:00")
    assert held(core, seen(request_id="3"), at="2026-06-10T23:00") == ["days"]


def test_a_clock_that_is_not_set_holds_no_notice_back_and_judges_no_absence() -> None:
    core = rules(hours="22:00-23:00")
    assert any(isinstance(one, Fired) for one in core.handle(seen(), 0, 5 * SECOND))
    waiting = rules(absent_by="10:00")
    assert (waiting.expire(5 * SECOND), waiting.due_in(5 * SECOND)) == ((), None)


def test_a_redelivered_request_and_a_stale_one_fire_nothing() -> None:
    core = rules(cooldown_s=0)
    assert fired(core, seen())
    assert held(core, seen()) == ["duplicate"]
    assert held(core, seen(request_id="b", age_ns=901 * SECOND)) == ["stale"]


def test_a_camera_whose_alerts_are_off_fires_nothing() -> None:
    core = rules()
    assert held(core, seen(), muted=("nest",)) == ["muted"]
    assert fired(core, seen(), muted=("yard",))


def test_a_rule_remembers_over_a_restart_and_no_cooldown_over_a_boot() -> None:
    core = rules(cooldown_s=60)
    kept = [one.memory for one in core.handle(seen(), 5, wall("12:00")) if isinstance(one, Keep)]
    same, other = rules(cooldown_s=60), rules(cooldown_s=60)
    same.restore([*kept, RuleMemory("gone")], same_boot=True)
    other.restore(kept, same_boot=False)
    assert held(same, seen(request_id="b"), now=SECOND) == ["cooldown"]
    assert held(other, seen(), now=SECOND) == ["duplicate"]
    assert fired(other, seen(request_id="b"), now=SECOND)


def test_nothing_seen_by_ten_makes_one_notice_a_day() -> None:
    core = rules(labels=("hen",), absent_by="10:00")
    assert not absent(core, "08:00")
    assert core.due_in(wall("08:00")) == 2 * 3_600 * SECOND
    assert not absent(core, "09:59")
    assert absent(core, "10:00")
    assert not absent(core, "10:01")
    assert not absent(core, "2026-06-10T09:59")
    assert absent(core, "2026-06-10T10:00")


def test_what_was_seen_in_time_is_not_absent_on_that_day_alone() -> None:
    core = rules(labels=("hen",), absent_by="10:00", absent_since="06:00")
    absent(core, "05:00")
    for label, at in (("hen", "05:59"), ("fox", "08:00")):
        assert core.handle(seen(label, at), 0, wall(at)) == ()
    (keep,) = core.handle(seen("hen", "08:00"), 0, wall("08:00"), muted=("nest",))
    assert isinstance(keep, Keep)
    assert core.handle(seen("hen", "08:01"), 0, wall("08:01")) == (), "one write a day"
    assert not absent(core, "10:00")
    assert absent(core, "2026-06-10T10:00")


def test_a_new_rule_does_not_judge_the_past() -> None:
    core = rules(absent_by="10:00")
    assert not absent(core, "15:00")
    assert absent(core, "2026-06-10T10:00")


def test_what_was_off_at_its_time_judges_when_it_is_back_on_the_same_day() -> None:
    core = rules(absent_by="10:00")
    core.restore([RuleMemory("hens", judged_on="2026-06-08")], same_boot=False)
    assert absent(core, "11:30")
    core.restore([RuleMemory("hens", judged_on="2026-06-08", present_on="2026-06-09")], same_boot=False)
    assert not absent(core, "11:30")


def test_absence_is_silent_on_other_days_and_while_all_of_its_cameras_are_off() -> None:
    core = rules(absent_by="10:00", days=("wed",))
    core.restore([RuleMemory("hens", judged_on="2026-06-08")], same_boot=False)
    assert not absent(core, "10:00")
    assert not absent(core, "2026-06-10T10:00", muted=CAMERAS)
    assert absent(core, "2026-06-17T10:00", muted=("nest",))


@pytest.mark.parametrize(
    "settings",
    [
        {"min_score": 1.1},
        {"min_score": float("nan")},
        {"cooldown_s": -1},
        {"hours": "6-7"},
        {"days": ("monday",)},
        {"absent_by": "25:00"},
        {"absent_by": "10:00", "hours": "06:00-10:00"},
        {"absent_by": "10:00", "absent_since": "10:00"},
        {"zone": "a,b"},
        {"text": "x" * 301},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        RuleSettings(**settings)
