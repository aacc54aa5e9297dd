"""The picture in the terminal."""

import re
from datetime import UTC

import msgspec
import pytest
from traced_request import OTHER_BOOT, REQUEST, outcome, result, score, trace, whole_story

from roost_broker.clock import MS
from roost_broker.messages import Answer, Message
from roost_rendezvous.traces.knit import knit
from roost_rendezvous.traces.waterfall import COLOURS, duration, moment, render


def picture(story: list[Message], width: int = 100) -> str:
    return render(knit(REQUEST, story), width=width, task="nest", zone=UTC)


def line_of(text: str, *words: str) -> str:
    return next(line for line in text.splitlines() if all(word in line for word in words))


def test_the_head_says_which_request_when_and_who_answered() -> None:
    first, second, *_ = picture(whole_story()).splitlines()
    assert first == f"request {REQUEST} · nest · 2027-01-15 08:00:00.000"
    assert second == "blue jay 0.97 by champion 1.2 (preferred), 143 ms after it began"


def test_every_step_has_a_line_and_the_answer_stands_in_one_column_of_all_of_them() -> None:
    text = picture(whole_story())
    charted = [line for line in text.splitlines() if re.search(r" m?s$", line) and "│" in line]
    assert len(charted) == sum(len(one.spans) for one in whole_story() if hasattr(one, "spans"))
    assert len({line.index("│") for line in charted}) == 1


def test_the_official_model_has_a_star_and_no_other() -> None:
    text = picture(whole_story())
    assert "★ champion" in text
    assert text.count("★") == 2  # and the legend


def test_work_after_the_answer_looks_different_and_is_said_in_words() -> None:
    text = picture(whole_story())
    rows = text.splitlines()
    slow = next(index for index, row in enumerate(rows) if row.startswith("slow"))
    evaluate = rows[slow + 2]
    before, after = evaluate.split("│")
    assert "█" in before
    assert "▒" not in before
    assert "▒" in after
    assert "█" not in after
    assert "slow ran on for 257 ms after the answer." in rows
    champion = next(index for index, row in enumerate(rows) if row.startswith("★"))
    assert not any("▒" in row for row in rows[champion : champion + 4])


def test_declined_gone_ignored_and_silent_models_are_said_in_words() -> None:
    story: list[Message] = [
        trace("rendezvous", ("wait", 0, 143)),
        trace("model canary", ("wait", 0, 200), attributes={"declined": "failed"}),
        result(
            outcome("tired", "declined", "behind"),
            outcome("old", "gone"),
            outcome("mute", "pending"),
            outcome("canary", "pending", ignored=True),
        ),
    ]
    rows = picture(story).splitlines()
    assert "tired declined: behind." in rows
    assert "old was gone." in rows
    assert "Nothing from mute had arrived when the answer was given." in rows
    assert "canary declined after the answer: failed." in rows
    assert "canary is ignored by the schedule." in rows


def test_a_default_is_loud_and_says_why() -> None:
    text = picture([*whole_story()[:-1], result(default="unknown")])
    assert text.splitlines()[1] == "default unknown, 143 ms after it began: No model answered in time."


def test_an_estimate_is_called_one() -> None:
    story = [result(outcome("slow", "pending")), score("slow", at_ms=400, compute_ms=900)]
    assert "slow ran on for about 257 ms after the answer." in picture(story)


def test_a_long_tail_breaks_the_axis_so_that_what_came_before_the_answer_stays_readable() -> None:
    story = [*whole_story(), trace("model endless", ("evaluate", 20, 60_000))]
    text = picture(story)
    assert "⫽ time runs faster from here" in text
    axis = text.splitlines()[3]
    assert axis.index("⫽") > line_of(text, "late slow").index("│")
    assert line_of(text, "late slow").index("│") > 40
    assert "⫽" not in picture(whole_story())


def test_what_is_placed_by_the_wall_clock_is_marked() -> None:
    text = picture([*whole_story(), trace("model far", ("evaluate", 50, 100), boot=OTHER_BOOT)])
    assert line_of(text, "far").endswith("~50.0 ms")
    assert "~ another boot, placed by the wall clock" in text
    assert "~" not in picture(whole_story())


@pytest.mark.parametrize("width", [1, 60, 80, 100, 200])
def test_no_charted_line_is_wider_than_asked_but_it_is_never_narrower_than_60(width: int) -> None:
    text = picture(whole_story(), width)
    chart = text.split("\n\n")[1].splitlines()
    assert max(map(len, chart)) == max(width, 60)


def test_without_colours_there_are_no_codes_and_with_them_every_one_is_switched_off() -> None:
    whole = knit(REQUEST, whole_story())
    assert "\x1b" not in render(whole, width=80)
    coloured = render(whole, width=80, style=COLOURS)
    bare = re.sub(r"\x1b\[\d+m", "", coloured)
    assert [line.rstrip() for line in bare.splitlines()] == render(whole, width=80).splitlines()
    for line in coloured.splitlines():
        assert not re.search(r"\x1b\[[1-9]\d*m[^\x1b]*$", line), line


@pytest.mark.parametrize("ends", [0, 0.000_001, 1, 9, 143, 999, 10_000, 3_600_000])
@pytest.mark.parametrize("answered", [0, 0.000_001, 143, 2_000])
def test_any_lengths_can_be_drawn(ends: float, answered: float) -> None:
    story: list[Message] = [trace("rendezvous", ("wait", 0, answered)), trace("model slow", ("evaluate", 0, ends))]
    chart = picture(story, 80).split("\n\n")[1].splitlines()
    assert len(chart) == 3
    assert max(map(len, chart)) <= 80


def test_what_a_terminal_would_obey_is_not_drawn() -> None:
    said = trace("model a\x1b]0;mine\x07", ("evaluate\x1b[2J", 0, 1), attributes={"declined": "\x1b[31mred\n"})
    odd = Answer(model="champion", version="\x1b[5m", label="jay\x1b[2J", score=0.5)
    answered = msgspec.structs.replace(result(outcome("tired", "declined", "\x9b31m")), answer=odd)
    for text in (
        picture([*whole_story(), said, answered]),
        picture([said, answered]),
        picture([result(default="\x1bc")]),
    ):
        assert not [one for one in text if not one.isprintable() and one != "\n"]


@pytest.mark.parametrize("wall_ns", [10**30, -(10**30), 2**63 * MS])
def test_a_moment_that_no_calendar_has_is_no_date(wall_ns: int) -> None:
    assert moment(wall_ns, UTC) == "no date"


def test_nothing_known_is_said_and_does_not_fail() -> None:
    assert picture([]).splitlines()[1] == "no answer seen"


@pytest.mark.parametrize(
    ("ns", "text"),
    [(50_000, "0.05 ms"), (12_340_000, "12.3 ms"), (257_400_000, "257 ms"), (1_250_000_000, "1.25 s")],
)
def test_durations_are_as_exact_as_a_person_wants_them(ns: int, text: str) -> None:
    assert duration(ns) == text
