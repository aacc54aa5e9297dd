"""Models that remember, in the two slots of a line: each version's memory is its own, and whole (promise V10)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ota_world import OtaWorld, Watcher, make_bundle

from roost_broker.messages import Score
from roost_broker.mosquitto import PrivateBroker

pytestmark = [pytest.mark.broker, pytest.mark.processes]

# What it says depends on every request before and on their order; no two factors agree on it.
REMEMBERS = """
def fresh():
    return {{"chain": 0}}

def observe(memory, context):
    memory["chain"] = (memory["chain"] * {factor} + context.values["number"] + 1) % 1_000_003
    return memory["chain"]

def predict(image, context):
    return {{"new": context.past / 1_000_003}}
"""
FIELDS: dict[str, Any] = {
    "pure": False,
    "internal_state": {"restore": "snapshot", "snapshot_every": 5},
    "goldens": [{"past": 5}],
}


def says(watcher: Watcher, model: str, asked: list[str]) -> list[float]:
    words = [watcher.words[request_id][model] for request_id in asked]
    assert all(isinstance(word, Score) for word in words)
    return [word.outputs[0].score for word in words if isinstance(word, Score)]


def test_a_version_that_comes_into_a_slot_knows_what_its_twin_knows_that_was_there_all_the_time(
    run: Callable[..., Any], tmp_path: Path, own_mosquitto: PrivateBroker
) -> None:
    twins = {
        f"twin{factor}": make_bundle(
            tmp_path / f"twin{factor}", "1.0.0", REMEMBERS.format(factor=factor), name=f"twin{factor}", **FIELDS
        ).root
        for factor in (31, 37)
    }
    world = OtaWorld(tmp_path, own_mosquitto, models=twins)
    sources = {"2.0.0": 31, "3.0.0": 37, "4.0.0": 31}
    for version, factor in sources.items():
        world.publish(version, f"# {version}\n" + REMEMBERS.format(factor=factor), **FIELDS)

    async def compare(watcher: Watcher, slot: str, twin: str) -> None:
        asked = watcher.ask_many(12)
        await watcher.until(lambda: all({slot, twin} <= watcher.words[one].keys() for one in asked))
        assert says(watcher, slot, asked) == says(watcher, twin, asked)

    async def main() -> None:
        async with world.device.up(), Watcher(world.device) as watcher:
            await watcher.answered(*watcher.ask_many(20))  # before there was any version that remembers
            before = ""
            # Into b, then a, then b again, where the state of 2.0.0 was kept.
            for version, slot in (("2.0.0", "champion-b"), ("3.0.0", "champion"), ("4.0.0", "champion-b")):
                twin = f"twin{sources[version]}"
                world.roll_out(version, "shadow", rollout=f"for {version}", previous=before)
                await world.command(do="check")
                await watcher.phase("shadow", version=version)
                await compare(watcher, slot, twin)
                world.roll_out(version, "serving", rollout=f"for {version}", previous=before)
                await world.command(do="check")
                await watcher.phase("serving", version=version)
                await compare(watcher, slot, twin)
                before = version
            # Back to 3.0.0, which stood by and observed on; the state of the one that goes is gone with it.
            world.roll_out("4.0.0", "previous", rollout="for 4.0.0", previous="3.0.0", state="aborted")
            await world.command(do="check")
            await watcher.phase("idle")
            await compare(watcher, "champion", "twin37")
            kept = {path.name for path in (world.device.folder / "data" / "internal-state").iterdir()}
            assert kept == {"model-nest-champion", "model-nest-twin31", "model-nest-twin37"}
            await watcher.answered()
            watcher.assert_each_answered_once_in_time()

    run(main(), timeout=120)
