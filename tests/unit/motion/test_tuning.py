"""Tuning finds what suits a clip, draws it, and writes only what it is about."""

import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import cv2
import numpy as np
import pytest
from motion_scenes import FRAME_NS, wall, with_square
from typer.testing import CliRunner

from roost_broker.errors import Misuse
from roost_edge.cli.app import app
from roost_edge.cli.tune import with_changes
from roost_edge.motion.chart import chart
from roost_edge.motion.score import Period
from roost_edge.motion.settings import MotionSettings
from roost_edge.motion.truth_file import read_truth
from roost_edge.motion.tuning import Tuned, changes, tune

SETTINGS = """# My coop.
[node]
name = "coop-1"   # beside the road

[tasks.henhouse]
schedule = "schedule.toml"

[cameras.nest]
task = "henhouse"

[cameras.nest.motion]
min_area = 0.2    # far too much
masks = [[[0.0, 0.0], [0.1, 0.0], [0.1, 0.1]]]

[alerts]
quiet_labels = ["egg"]
"""


def clip() -> list[np.ndarray]:
    """Nothing, a crossing of three seconds, nothing."""
    crossing = [with_square(wall(seed=100 + n), 9 * n, 230) for n in range(30)]
    return [*(wall(seed=n) for n in range(25)), *crossing, *(wall(seed=200 + n) for n in range(25))]


def tuned(settings: MotionSettings) -> Tuned:
    images = clip()
    times = [n * FRAME_NS for n in range(len(images))]
    return tune(images, times, (Period(2_500, 5_400),), settings, quiet_ms=1_000)


def test_a_threshold_that_misses_the_only_visit_is_found_and_mended() -> None:
    found = tuned(MotionSettings(min_area=0.2))
    assert found.before.score.events_missed == 1
    assert (found.best.score.events_found, found.best.score.events_false) == (1, 0)
    assert set(changes(found)) == {"min_area"}
    assert found.best.settings.min_area < 0.05


def test_settings_that_are_as_good_as_any_stay() -> None:
    assert changes(tuned(MotionSettings())) == {}


def test_the_picture_has_a_panel_for_every_parameter() -> None:
    drawn = ET.fromstring(chart(tuned(MotionSettings(min_area=0.2)), "nest & yard"))  # noqa: S314  # our own
    words = [element.text for element in drawn.iter() if element.text]
    assert "nest & yard" in words
    assert {"min_area", "min_delta", "noise_factor", "small_frames", "rest_ms"} <= set(words)


def test_truth_is_read_in_seconds_and_in_minutes_with_notes(tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text("start,end\n# morning\n2.5,5.4,a jay\n1:02,1:10\n1:00:00,1:00:01.5\n")
    assert read_truth(tmp_path / "truth.csv") == (
        Period(2_500, 5_400),
        Period(62_000, 70_000),
        Period(3_600_000, 3_601_500),
    )


@pytest.mark.parametrize(
    ("lines", "said"), [("1,2\nx,3\n", ":2: this is not"), ("5,2\n", ":1: the times"), ("4\n", ":1:")]
)
def test_truth_that_cannot_be_meant_is_refused_with_its_line(tmp_path: Path, lines: str, said: str) -> None:
    (tmp_path / "truth.csv").write_text(lines)
    with pytest.raises(Misuse, match=said):
        read_truth(tmp_path / "truth.csv")


def test_only_the_motion_table_of_the_camera_is_changed() -> None:
    new = with_changes(SETTINGS, "nest", {"min_area": 0.003, "min_delta": 6})
    before, after = tomllib.loads(SETTINGS), tomllib.loads(new)
    assert after["cameras"]["nest"]["motion"].pop("min_delta") == 6
    assert after["cameras"]["nest"]["motion"].pop("min_area") == 0.003
    before["cameras"]["nest"]["motion"].pop("min_area")
    assert after == before
    assert "# My coop." in new
    assert "# beside the road" in new


def test_a_file_that_cannot_be_changed_so_is_left_alone_with_words() -> None:
    inline = SETTINGS.replace('[cameras.nest]\ntask = "henhouse"\n', "").replace(
        "[cameras.nest.motion]\nmin_area = 0.2    # far too much\nmasks = [[[0.0, 0.0], [0.1, 0.0], [0.1, 0.1]]]\n",
        '[cameras]\nnest = { task = "henhouse", motion = { min_area = 0.2 } }\n',
    )
    with pytest.raises(Misuse, match="without touching others"):
        with_changes(inline, "nest", {"min_area": 0.003})


def test_the_command_writes_only_when_it_is_told_to(tmp_path: Path) -> None:
    film = cv2.VideoWriter(str(tmp_path / "yard.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (320, 240))
    for image in clip():
        film.write(image)
    film.release()
    (tmp_path / "yard.csv").write_text("2.5,5.4\n")
    (tmp_path / "schedule.toml").write_text("")
    settings = tmp_path / "roost.toml"
    settings.write_text(SETTINGS)
    words = ["tune", "--clip", str(tmp_path / "yard.avi"), "--truth", str(tmp_path / "yard.csv"), "-s", str(settings)]
    ran = CliRunner().invoke(app, [*words, "--picture", str(tmp_path / "tune.svg")])
    assert ran.exit_code == 0, ran.output
    assert "min_area = " in ran.output
    assert settings.read_text() == SETTINGS
    assert (tmp_path / "tune.svg").read_text().startswith("<svg")
    ran = CliRunner().invoke(app, [*words, "--write", "--json"])
    assert ran.exit_code == 0, ran.output
    assert tomllib.loads(settings.read_text())["cameras"]["nest"]["motion"]["min_area"] < 0.05
