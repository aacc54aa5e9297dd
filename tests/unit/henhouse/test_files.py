"""Clips, stills and sheets as files, and the command that writes them."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from roost_broker.errors import Misuse
from roost_henhouse.files import write_clip, write_stills
from roost_henhouse.render import main
from roost_henhouse.scene import HenhouseScene
from roost_henhouse.truth import LABELS


@pytest.mark.parametrize("kind", ["avi", "mp4"])
def test_a_clip_has_a_truth_line_for_each_frame_and_shows_the_scene(tmp_path: Path, kind: str) -> None:
    clip = tmp_path / f"clip.{kind}"
    truth = write_clip(clip, 2, 1.0, width=160, height=120, fps=10, first=100)
    lines = [json.loads(line) for line in truth.read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(10))
    assert lines[3]["index"] == 103
    video = cv2.VideoCapture(str(clip))
    frames = []
    while True:
        more, picture = video.read()
        if not more:
            break
        frames.append(picture[:, :, ::-1].astype(int))
    video.release()
    assert len(frames) == 10
    rendered = HenhouseScene(2, 160, 120, 10).frame(104)[0].astype(int)
    assert np.abs(frames[4] - rendered).mean() < 10


def test_a_clip_of_an_unknown_kind_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match=r"\.mp4"):
        write_clip(tmp_path / "clip.gif", 1, 1)
    assert not list(tmp_path.iterdir())


def test_stills_come_with_a_table_that_names_each_of_them(tmp_path: Path) -> None:
    table = write_stills(tmp_path, 7, 4, size=(160, 120))
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == list(LABELS)
    assert {row["file"] for row in rows} == {path.name for path in tmp_path.glob("*.jpg")}


def test_the_same_seed_writes_the_same_stills(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_stills(tmp_path / name, 3, 4, size=(160, 120))
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_the_command_says_where_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = tmp_path / "sub" / "c.avi"
    assert main(["clip", str(clip), "--seconds", "0.3", "--size", "160x120"]) == 0
    assert capsys.readouterr().out.splitlines() == [str(clip), f"{clip}.jsonl"]
    sheet = tmp_path / "sheet.jpg"
    assert main(["sheet", str(sheet), "--rows", "1"]) == 0
    assert sheet.stat().st_size > 5_000


def test_the_command_reports_what_cannot_be_done_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["clip", str(tmp_path / "c.gif")]) == 1
    assert "*.avi" in capsys.readouterr().err
