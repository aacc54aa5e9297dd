"""The summary of the loop's demo: what did not come as it should is said, and nothing else is."""

import json
from typing import Any

import pytest
from msgspec import structs

from roost_edge.demo_loop.summary import Chapter, Returned, Story, as_json, as_lines, judge

GOOD = Returned(version="1.1.0", ended="complete", why="", seconds=40.0, devices=50, served=50)
BAD = Returned(version="1.2.0", ended="aborted", why="halted", seconds=10.0, devices=50, served=0)
STORY = Story(
    devices=49,
    requests=300,
    missing_at_centre=0,
    frames_at_centre=250,
    labels_by_key=13,
    labels_imported=240,
    training_s={"1.0.0": 3.0},
    accuracy={"1.0.0": 0.6, "1.1.0": 0.97},
    wrong_before=0.96,
    wrong_after=0.01,
    good=GOOD,
    bad=BAD,
    refused_by_gate=True,
    commands=40,
    chapters=[Chapter(title="one", seconds=3.0)],
    problems=[],
)


def test_a_story_that_went_well_has_no_problem() -> None:
    assert judge(STORY) == []
    assert as_lines(STORY)[-1] == "ok"
    assert json.loads(as_json(STORY))["ok"] is True


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"requests": 0}, "asked nothing"),
        ({"missing_at_centre": 2}, "2 of the device's requests did not reach"),
        ({"good": structs.replace(GOOD, ended="aborted", why="its gate")}, "ended aborted: its gate"),
        ({"bad": structs.replace(BAD, ended="complete")}, "not aborted"),
        ({"bad": structs.replace(BAD, served=2)}, "served 2 of 50"),
        ({"refused_by_gate": False}, "let the bad model pass"),
        ({"wrong_after": 0.7}, "still called Buff Orpingtons"),
    ],
)
def test_each_turn_that_failed_is_named(change: dict[str, Any], words: str) -> None:
    (problem,) = judge(structs.replace(STORY, **change))
    assert words in problem
    story = structs.replace(STORY, problems=[problem])
    assert not story.ok
    assert as_lines(story)[-2:] == [f"PROBLEM: {problem}", "not ok"]
