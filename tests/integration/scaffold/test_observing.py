"""A model with internal state whose `observe` does not come back: said aloud, and nothing that it owes is forgotten."""

from pathlib import Path
from typing import Any

import pytest
from scaffold_world import CLOCK, Gate, Place, bundle_in, serving

from roost_broker.clock import SECOND, boot_id
from roost_broker.frames import FrameStore
from roost_broker.messages import Issued, Request
from roost_broker.worker import Worker
from roost_models.bundle.folder import Bundle
from roost_models.inference.warming import ModelFailed
from roost_models.internal_state.rebuild import Restored, StatePlace
from roost_models.internal_state.remembering import Remembering
from roost_models.scaffold.observing import Observing
from roost_models.scaffold.role import ScaffoldSettings

HELD_OBSERVING = """
import pathlib

def observe(memory, context):
    if "gate" in context.values:
        pathlib.Path(context.values["gate"]).read_text()

def predict(image, context):
    return {"bright": 1.0}
"""


def remembers(folder: Path) -> Bundle:
    return bundle_in(folder, HELD_OBSERVING, pure=False, internal_state={"restore": "snapshot"}, input=None)


def too_late(gate: Gate) -> Request:
    """It is declined at once; it is observed all the same."""
    issued = Issued(boot=boot_id(), seq=1, monotonic_ns=CLOCK.monotonic_ns() - SECOND)
    return gate.question(deadline_ms=1, issued=issued)


def test_an_observation_that_never_ends_ends_the_process_aloud(memory: Place, tmp_path: Path, run: Any) -> None:
    settings = ScaffoldSettings(state_interval_ms=20, max_evaluation_ms=100)
    state = StatePlace(tmp_path / "state", tmp_path / "archive")

    async def main() -> None:
        gate = Gate(tmp_path)
        serve = serving(memory, remembers(tmp_path), FrameStore(tmp_path), settings=settings, internal_state=state)
        async with serve as (watcher, scaffold):
            await watcher.ask(too_late(gate))
            assert (await watcher.declined()).reason == "expired"
            assert "has not ended" in (await watcher.state("failed")).detail
            assert scaffold.counts["batches"] == 0

    with pytest.raises(ModelFailed, match="has not ended"):
        run(main())


def test_what_was_declined_and_not_yet_observed_is_delivered_to_the_next_process_however_often_it_came(
    place: Place, tmp_path: Path, run: Any
) -> None:
    bundle = remembers(tmp_path)

    async def main() -> None:
        state = StatePlace(tmp_path / "state", tmp_path / "archive")
        gate = Gate(tmp_path)
        asked = too_late(gate)
        async with serving(place, bundle, FrameStore(tmp_path), internal_state=state) as (watcher, _):
            for _ in range(2):
                await watcher.ask(asked)
                assert (await watcher.declined()).request_id == asked.request_id
            await gate.reached()  # it observes, and is stopped meanwhile
        gate.path.unlink()
        gate.path.write_text("open")
        state = StatePlace(tmp_path / "next", tmp_path / "archive")
        async with serving(place, bundle, FrameStore(tmp_path), internal_state=state) as (watcher, scaffold):
            while scaffold.counts["requests"] < 2:
                await watcher.state("ready")
            while not (counts := (await watcher.state("ready")).counts)["observed"]:
                pass
            assert counts["behind"] == 0  # said, not left out
            assert scaffold.counts["repeated"] == 1
        gate.open()

    run(main())


class Behind(Remembering):
    """Begins from its snapshot, and then waits for the archive."""

    def __init__(self) -> None:
        self.tries = [Restored(True, 3, behind=True), Restored(False, 2, behind=False)]

    def restore(self) -> Restored:
        return self.tries.pop(0)


def test_a_start_in_several_readings_of_the_archive_tells_of_all_of_them(run: Any) -> None:
    async def main() -> None:
        thread = Worker("model")
        found = await Observing(thread, CLOCK.monotonic_ns).open(Behind())
        assert found == Restored(from_snapshot=True, rolled_forward=5, behind=False)
        thread.stop()

    run(main())
