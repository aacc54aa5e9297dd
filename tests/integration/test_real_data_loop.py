"""Somebody else's real model goes the whole way: imported, published, rolled out, and asked what it sees."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ota_world import NAME, TASK, OtaWorld, Watcher

from roost_broker.frames import FrameStore
from roost_broker.messages import FrameRef, Result, Score
from roost_broker.mosquitto import PrivateBroker
from roost_models.bundle.folder import Bundle
from roost_models.bundle.opening import open_bundle

pytestmark = [pytest.mark.broker, pytest.mark.processes]

BIRDS, BIRD_LABELS = "mobilenet_v2_1.0_224_inat_bird_quant.tflite", "inat_bird_labels.txt"
BLUE_JAY = "Cyanocitta cristata (Blue Jay)"


def roost(*words: str | Path) -> dict[str, Any]:
    """A command's data; fails with what it said."""
    done = subprocess.run(
        [Path(sys.executable).with_name("roost"), *words, "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def import_birds(shared: Path, folder: Path) -> Bundle:
    """The bird model as it came, with the blue jay as its golden."""
    words = ("--name", NAME, "--task", TASK, "--version", "2.0.0", "--licence", "Apache-2.0")
    models, picture = shared / "models", shared / "images" / "bluejay.jpg"
    roost("bundle", "import", models / BIRDS, models / BIRD_LABELS, folder, *words, "--picture", picture)
    bundle = open_bundle(folder)
    (golden,) = bundle.manifest.goldens
    assert bundle.read(str(golden.input)) == picture.read_bytes()
    assert golden.outputs[0].label == BLUE_JAY
    return bundle


def best(word: object) -> tuple[str, float]:
    """Label and score of an official answer, or of one model's."""
    assert isinstance(word, Result | Score), word
    output = word.answer if isinstance(word, Result) else word.outputs[0]
    assert output is not None
    return output.label, output.score


def test_the_imported_bird_model_is_published_rolled_out_and_names_the_blue_jay(
    run: Callable[..., Any], shared_data: Path, tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    world = OtaWorld(tmp_path, own_mosquitto)
    bundle = world.bundles["2.0.0"] = import_birds(shared_data, tmp_path / "birds")
    published = roost(
        *("registry", "publish", bundle.root, "--centre", tmp_path),
        *("--without-evaluation", "Nobody has asked this task of pictures yet: nothing is archived."),
    )
    assert published["bundle"]["digest"] == bundle.digest
    data = (shared_data / "images" / "bluejay.jpg").read_bytes()

    async def main() -> None:
        async with world.device.up() as supervisor, Watcher(world.device) as watcher:
            jay: FrameRef = FrameStore(world.device.folder / "data" / "frames").put(data, width=1, height=1)
            (before,) = await watcher.answered(watcher.ask(frame=jay))
            assert best(before)[0] == "old"

            world.roll_out("2.0.0", "shadow")
            line = await watcher.phase("shadow", version="2.0.0")
            assert {slot.version: slot.state for slot in line.slots} == {"1.0.0": "active", "2.0.0": "shadow"}
            asked = watcher.ask(frame=jay)
            await watcher.until(lambda: "champion-b" in watcher.words[asked])
            assert best(watcher.words[asked]["champion-b"])[0] == BLUE_JAY
            assert best((await watcher.answered(asked))[0])[0] == "old"  # in shadow it is heard, never official

            pid = supervisor.pid("model-nest-champion-b")
            world.roll_out("2.0.0", "serving")
            await watcher.phase("serving", version="2.0.0")
            asked = watcher.ask(frame=jay)
            (after,) = await watcher.answered(asked)
            label, score = best(after)
            assert (label, after.cause) == (BLUE_JAY, "preferred")
            assert score == pytest.approx(0.81, abs=0.05)
            word = watcher.words[asked]["champion-b"]
            assert isinstance(word, Score)
            assert word.bundle == bundle.digest
            assert supervisor.pid("model-nest-champion-b") == pid
            watcher.assert_each_answered_once_in_time()

    run(main(), timeout=90)
