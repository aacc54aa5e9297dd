"""Masks and zones: from lines to the settings' text and back, and nothing else of the text."""

import tomllib

import pytest

from roost_broker.errors import Misuse
from roost_edge.page.areas import lines_of, parse, with_lines

TEXT = """\
# the coop
[node]
name = "coop-1"  # its name

[cameras.nest]   # beside the door
task = "henhouse"
[cameras.nest.motion]
min_area = 0.01
masks = [ [[0.0, 0.0], [0.1, 0.0], [0.1, 0.1]],
          [[0.5, 0.5], [0.6, 0.5], [0.6, 0.6]] ]  # the tree
# a word at the end
[alerts]
quiet_labels = ["empty"]
"""
LINES = "mask 0,0 0.2,0 0.2,0.25\nzone feeder 0.4,0.4 0.9,0.4 0.9,0.9"


def test_what_is_drawn_is_in_the_settings_and_can_be_read_back() -> None:
    changed = with_lines(TEXT, "nest", LINES)
    assert lines_of(changed, "nest") == LINES
    motion = tomllib.loads(changed)["cameras"]["nest"]["motion"]
    assert motion["masks"] == [[[0.0, 0.0], [0.2, 0.0], [0.2, 0.25]]]
    assert motion["zones"] == {"feeder": [[0.4, 0.4], [0.9, 0.4], [0.9, 0.9]]}


def test_comments_and_all_other_values_stay() -> None:
    changed = with_lines(TEXT, "nest", LINES)
    for kept in ("# the coop", "# its name", "# beside the door", "# a word at the end", "min_area = 0.01"):
        assert kept in changed
    before, after = tomllib.loads(TEXT), tomllib.loads(changed)
    del before["cameras"]["nest"]["motion"], after["cameras"]["nest"]["motion"]
    assert after == before


def test_a_camera_without_motion_gets_the_table() -> None:
    text = TEXT.split("[cameras.nest.motion]", maxsplit=1)[0]
    changed = with_lines(text, "nest", LINES)
    assert changed.startswith(text)
    assert lines_of(changed, "nest") == LINES


def test_no_lines_take_all_areas_away_and_add_nothing_where_there_were_none() -> None:
    assert lines_of(with_lines(TEXT, "nest", ""), "nest") == ""
    text = '[cameras.nest]\ntask = "henhouse"\n'
    assert tomllib.loads(with_lines(text, "nest", "")) == tomllib.loads(text)


@pytest.mark.parametrize(
    "written",
    [
        '[cameras]\nnest = {task = "t", motion = {min_area = 0.1}}\n',
        '[cameras.nest]\ntask = "t"\nmotion.min_area = 0.1\n',
        '[cameras.nest]\ntask = "t"\n[cameras.nest.motion.zones]\na = [[0, 0], [1, 0], [1, 1]]\n',
    ],
)
def test_a_file_that_is_written_otherwise_is_left_alone(written: str) -> None:
    with pytest.raises(Misuse, match="by hand"):
        with_lines(written, "nest", LINES)


@pytest.mark.parametrize(
    "wrong",
    [
        "mask 0,0 1,1",
        "mask 0,0 1,1 2,2",
        "mask 0,0 1,1 a,b",
        "mask 0,0 1,1 nan,0",
        "circle 0,0 1,1 1,0",
        "zone",
        "zone a 0,0 1,1 1,0\nzone a 0,0 1,1 1,0",
        "\n".join(["mask 0,0 1,1 1,0"] * 33),
        "mask " + " ".join(["0.5,0.5"] * 65),
    ],
)
def test_what_is_no_area_is_refused_with_an_example(wrong: str) -> None:
    with pytest.raises(Misuse) as refused:
        parse(wrong)
    assert refused.value.remedy
