"""What the page about motion shows is accepted by the settings, and its table is that of the code."""

import re
import tomllib
from pathlib import Path

import msgspec

from roost_edge.capture.settings import CaptureSettings
from roost_edge.motion.detector import REASONS
from roost_edge.motion.settings import MotionSettings
from roost_edge.motion.truth_file import read_truth

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "motion.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_settings_shown_are_accepted() -> None:
    first, second = (tomllib.loads(block)["cameras"]["nest"] for block in BLOCKS)
    motion = msgspec.convert(first["motion"], MotionSettings)
    assert motion.masks
    assert set(motion.zones) == {"feeder"}
    assert msgspec.convert(second["capture"], CaptureSettings).pre_roll_ms == 2_000


def test_every_reason_is_in_the_table() -> None:
    assert set(re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)) == set(REASONS)


def test_the_truth_shown_is_read(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "truth.csv").write_text(block, encoding="utf-8")
    assert len(read_truth(tmp_path / "truth.csv")) == 2
