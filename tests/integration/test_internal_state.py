"""Twins on a real device: one is killed again and again, the other never; both must say the same (V10, D4, L4)."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from requester import Requester
from task_device import Device, schedule

from roost_broker.messages import Declined, Score
from roost_broker.mosquitto import PrivateBroker
from roost_models.archive.reading import ArchiveReader
from roost_models.bundle.folder import open_folder
from roost_models.bundle.writing import write_bundle
from roost_models.replay import replay

pytestmark = [pytest.mark.broker, pytest.mark.processes]

# What it says depends on every request before, and on their order.
SOURCE = b"""
def fresh():
    return {"chain": 0}

def observe(memory, context):
    memory["chain"] = (memory["chain"] * 31 + context.values["number"] + 1) % 1_000_003
    return memory["chain"]

def predict(image, context):
    return {"here": context.past / 1_000_003}
"""


def bundle(folder: Path) -> Path:
    fields: dict[str, Any] = {
        **{"name": "chain", "version": "1.0.0", "task": "nest", "engine": "python", "entry": "model.py"},
        **{"labels": ["here"], "licence": "Apache-2.0", "queue": {"max_waiting": 500}},
        **{"pure": False, "internal_state": {"restore": "snapshot", "snapshot_every": 20}},
        "goldens": [{"past": 5}],
    }
    return write_bundle(folder, fields, {"model.py": SOURCE}).root


def ready(requester: Requester) -> int:
    """How often the shaken one has become ready."""
    return len({one.session for one in requester.states if (one.model, one.state) == ("shaken", "ready")})


def test_a_model_killed_again_and_again_says_what_its_twin_says_that_was_never_stopped(
    own_mosquitto: PrivateBroker, tmp_path: Path, run: Callable[..., Any]
) -> None:
    (tmp_path / "device").mkdir()
    device = Device(tmp_path / "device", own_mosquitto)
    path = bundle(tmp_path / "chain")
    device.task(schedule((0, ["*"])), steady=path, shaken=path)

    async def scenario() -> Requester:
        async with device.up() as supervisor, Requester(device) as requester:
            for times in range(1, 4):
                await requester.until(lambda times=times: ready(requester) >= times)
                requester.ask_many(25)
                await requester.heard("steady", "shaken")
                requester.ask_many(10)  # some of these are in the middle of something when it dies
                supervisor.kill("model-nest-shaken", signal.SIGKILL)
                requester.ask_many(10)
                await requester.heard("steady", "shaken")
            await requester.until(lambda: ready(requester) == 4)
            requester.ask_many(25)
            await requester.heard("steady", "shaken")
            await requester.until(lambda: len(requester.receipts) == len(requester.sent))
            await requester.answered()  # the decoy's receipt may come before the rendezvous' result
            assert supervisor.restarts("model-nest-shaken") == 3
            return requester

    requester = run(scenario(), timeout=60)
    requester.assert_each_answered_once_in_time()
    compared = 0
    for words in requester.words.values():
        steady, shaken = words["steady"], words["shaken"]
        assert isinstance(steady, Score)
        if isinstance(shaken, Declined):
            assert shaken.reason == "not-ready"  # asked while it was starting
            continue
        assert shaken.outputs == steady.outputs
        compared += 1
    assert compared >= 70  # of 160; what was asked while it was away or starting was declined
    told = [state.detail for state in requester.states if state.model == "shaken" and state.state == "ready"]
    assert any("from its snapshot" in detail for detail in told)
    with ArchiveReader(device.folder / "data" / "archive" / "nest") as archive:
        report = replay(archive, open_folder(path))
    assert report.exact
    # It may have answered, died before it acknowledged, and declined the same request while it started again.
    scores = (said for said in requester.told if isinstance(said, Score) and said.model == "shaken")
    assert report.compared == len(requester.sent) + len({said.request_id for said in scores})
