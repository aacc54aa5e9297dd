"""What the pages say: whether all is well, the race as a drawing, the schedule."""

import re
from datetime import UTC

from roost_broker.messages import Alert, ModelState, RoleState, Snapshot
from roost_edge.page.view import View
from roost_edge.page.views import models, now
from roost_edge.page.views.waterfall import Axis, sentences, waterfall
from roost_edge.page.wellness import concerns
from roost_rendezvous import schedule
from roost_rendezvous.traces.knit import Bar, Knit, Part

MS = 1_000_000
HEAD = {"timestamp": 1_800_000_000_000, "message_id": "a" * 32}
ROLES, MODELS = [("desk",), ("rendezvous-nest", "rendezvous-nest-b")], [("nest", ("champion",))]


def role(name: str, state: str, session: int = 1, detail: str = "") -> RoleState:
    return RoleState(**HEAD, role=name, state=state, session=session, detail=detail)  # type: ignore[arg-type]  # literals


def model(name: str, state: str) -> ModelState:
    return ModelState(**HEAD, model=name, state=state, session=1)  # type: ignore[arg-type]  # literals


def seen(*said: RoleState | ModelState) -> View:
    view = View(("nest",), ("yard",), broker=True)
    for one in said:
        view.take(one, "nest" if isinstance(one, ModelState) else "")
    return view


def test_all_is_well_when_everybody_who_is_asked_for_is_ready_in_either_slot() -> None:
    view = seen(role("desk", "ready"), role("rendezvous-nest-b", "ready"), model("champion", "ready"))
    assert concerns(view, ROLES, MODELS) == []
    assert "Every role and model" in now.wellness([], {})


def test_what_is_broken_comes_before_what_only_begins_and_says_what_to_do() -> None:
    view = seen(role("desk", "starting"), role("rendezvous-nest", "failed", detail="No schedule."))
    found = concerns(view, ROLES, MODELS)
    assert [one.grade for one in found] == ["bad", "bad", "warn"]
    assert all(one.remedy for one in found)
    assert found[0].what == "The role rendezvous-nest is failed: No schedule."
    assert "champion of nest has not been heard of" in found[1].what


def test_without_a_broker_nothing_is_claimed_of_anybody() -> None:
    view = seen(role("desk", "ready"))
    view.connected(False, 5)
    assert [one.what for one in concerns(view, ROLES, MODELS)] == ["The broker is not reachable."]


def test_an_earlier_sessions_last_will_does_not_undo_a_later_word() -> None:
    view = seen(role("desk", "ready", session=2), role("desk", "gone", session=1))
    assert view.roles["desk"].state == "ready"


def test_what_is_kept_is_bounded() -> None:
    view = View(("nest",), ("yard",))
    for nth in range(1000):
        view.take(role(f"role-{nth}", "ready"))
        head = {"timestamp": nth, "message_id": f"{nth:032x}"}
        alert = {"camera": "yard", "task": "nest", "label": "hen", "started_at": nth, "last_at": nth}
        view.take(Alert(**head, type="new", alert_id=f"{nth:032x}", **alert))  # type: ignore[arg-type]  # the test's own
    assert len(view.roles) == 256
    assert len(view.alerts) == 50
    assert next(reversed(view.alerts)) == f"{999:032x}"


def test_a_camera_that_the_settings_do_not_know_is_not_shown() -> None:
    view = View((), ("yard",))
    view.take(Snapshot(**HEAD, camera="other", label="hen", request_id="b" * 32, picture=""))  # type: ignore[arg-type]  # as above
    assert view.snapshots == {}


def race(answered: int, *bars: tuple[str, str, int, int]) -> Knit:
    made = tuple(Bar(component, name, start * MS, end * MS) for component, name, start, end in bars)
    parts = (Part("champion", "1.0", "answered", official=True), Part("slow", ran_on_ns=400 * MS, status="pending"))
    return Knit("a" * 32, 0, made, parts, answered * MS)


def test_a_race_shows_work_after_the_answer_and_the_answer_in_every_lane() -> None:
    whole = race(
        100, ("rendezvous", "wait", 0, 100), ("model champion", "evaluate", 10, 90), ("model slow", "evaluate", 10, 150)
    )
    drawing = waterfall(whole)
    assert drawing.count('class="answer"') == 3 + 1  # and one in the legend
    assert len(re.findall(r'class="ran-on"', drawing)) == 1 + 1
    assert "★ champion" in drawing
    assert "ran on for 400 ms after the answer" in sentences(whole)


def test_a_long_tail_breaks_the_axis_so_that_the_race_stays_readable() -> None:
    short = Axis(race(100, ("model champion", "evaluate", 0, 100)))
    assert not short.broken
    assert short.at(50 * MS) == 50
    long = Axis(race(100, ("model champion", "evaluate", 0, 100), ("model slow", "evaluate", 0, 10_000)))
    assert long.broken
    assert long.at(125 * MS) == 70
    assert long.at(10_000 * MS) == 100
    assert [text for _, text in long.ticks()][-2:] == ["125 ms ⫽", "10.00 s"]


def test_drawings_stay_within_their_width() -> None:
    whole = race(100, ("model champion", "evaluate", 0, 100), ("model slow", "evaluate", 9_999, 10_000))
    for x, width in re.findall(r'<rect x="([0-9.]+)%" width="([0-9.]+)%"', waterfall(whole)):
        assert float(x) + float(width) <= 100.01


def test_the_schedule_is_drawn_from_when_each_may_answer() -> None:
    agreed = schedule.parse(
        {
            "task": "nest",
            "sla_ms": 2000,
            "step": [{"after_ms": 0, "accept": ["champion"]}, {"after_ms": 1000, "accept": ["fast", "*"]}],
            "default": {"after_ms": 1900, "label": "unknown"},
        }
    )
    drawing = models.strip(agreed)
    assert 'x="0.00%" width="95.00%"' in drawing
    assert 'x="50.00%" width="45.00%"' in drawing
    assert "any other" in drawing
    assert "default: unknown" in drawing


def test_hostile_words_on_the_topics_stay_words() -> None:
    view = seen(role("desk", "failed", detail="<img src=x onerror=alert(1)>"))
    assert "<img" not in now.wellness(concerns(view, ROLES, MODELS), {})
    assert "<img" not in models.roles(view)
    alert = Alert(
        **HEAD, type="new", alert_id="c" * 32, camera="yard", task="nest", label="<b>", started_at=1, last_at=1
    )  # type: ignore[arg-type]  # as above
    assert "<b>" not in now.sightings([alert], 1, UTC)
