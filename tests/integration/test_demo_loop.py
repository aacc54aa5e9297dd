"""`scripts/demo-loop` from the outside: the story comes to its good end, and nothing is left running after Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from roost_edge.demo_loop.chromium import BROWSER

pytestmark = [pytest.mark.broker, pytest.mark.processes]

LOOP = (sys.executable, "-m", "roost_edge.demo_loop")


def test_the_story_is_told_to_its_good_end(tmp_path: Path) -> None:
    """A mistake becomes labels, a better model and a roll-out; a bad model is stopped by gate and fleet."""
    browser = () if BROWSER else ("--no-browser",)
    words = ("--devices", "19", "--per-class", "20", "--json", "--keep", str(tmp_path / "kept"), *browser)
    done = subprocess.run([*LOOP, *words], capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    story = json.loads(done.stdout)
    assert story["ok"], story["problems"]
    assert story["good"]["ended"] == "complete"
    assert story["good"]["served"] == 20
    assert story["bad"]["ended"] == "aborted"
    assert story["bad"]["served"] <= 1
    assert story["refused_by_gate"]
    assert story["wrong_after"] < 0.2 < 0.8 < story["wrong_before"]
    assert story["missing_at_centre"] == 0
    assert bool(story["labels_by_key"]) == bool(BROWSER)
    for name in ("device", "fleet", "registry"):
        assert "defect" not in (tmp_path / "kept" / "logs" / f"{name}.log").read_text()


def test_interrupted_it_stops_its_servers_and_says_so(tmp_path: Path) -> None:
    words = ("--devices", "2", "--per-class", "10", "--no-browser", "--keep", str(tmp_path / "kept"))
    running = subprocess.Popen([*LOOP, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None
    for line in running.stdout:
        if line.startswith("$ roost registry serve"):  # centre and registry are there by now
            break
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert "nothing is left running" in said
    left = [entry for entry in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path).encode() in _read(entry)]
    assert [one for one in left if one.parent.name != str(os.getpid())] == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--devices", "0"), "--devices 0"),
        (("--per-class", "3"), "--per-class 3"),
        (("--keep", "/"), "is in use"),
    ],
)
def test_arguments_that_cannot_work_are_misuse(words: tuple[str, ...], sentence: str) -> None:
    done = subprocess.run([*LOOP, *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert sentence in done.stderr


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it ended meanwhile
        return b""
