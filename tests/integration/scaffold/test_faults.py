"""A scaffold made to misbehave: faults of the command line, of a request, and settings that cannot be."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from scaffold_world import Place, bundle_in, question, serving

from roost_broker.errors import Misuse, RoostError
from roost_broker.faults import Fault
from roost_broker.frames import FrameStore
from roost_broker.messages import Declined, Diagnostics, Message, Score, decode
from roost_models.scaffold.role import Scaffold, ScaffoldSettings


def test_a_hanging_model_still_declines_what_it_will_never_reach_and_stops_when_told(
    place: Place, tmp_path: Path, run: Any
) -> None:
    async def main() -> None:
        hang = Fault.parse("hang")
        async with serving(place, bundle_in(tmp_path), FrameStore(tmp_path), faults=hang) as (watcher, _):
            for _ in range(3):
                await watcher.ask(question())
            assert (await watcher.declined()).reason == "behind"

    run(main())


def test_the_faults_wrong_error_and_drop_do_what_they_say(place: Place, tmp_path: Path, run: Any) -> None:
    async def one(fault: str) -> tuple[Declined | None, bytes | None, int]:
        seen: asyncio.Queue[bytes] = asyncio.Queue()
        bundle = bundle_in(tmp_path)
        async with serving(place, bundle, FrameStore(tmp_path), faults=Fault.parse(fault)) as (watcher, scaffold):
            raw = place.bus(f"raw-{fault}")
            raw.subscribe(place.topics.scores("champion"), lambda d: (seen.put_nowait(d.payload), d.ack())[1])
            await raw.start()
            watcher.bus.on_error(lambda sentence, error: None)  # the watcher decodes, and `wrong` does not
            await watcher.ask(question())
            if fault == "drop":
                while not scaffold.counts["dropped"]:
                    await watcher.state("ready")
                outcome = (None, None, seen.qsize())
            elif fault == "wrong":
                outcome = (None, await seen.get(), 1)
            else:
                outcome = (await watcher.declined(), None, 1)
            await raw.stop()
        return outcome

    declined, _, _ = run(one("error"))
    assert declined is not None
    assert declined.reason == "failed"
    _, rubbish, _ = run(one("wrong"))
    with pytest.raises(RoostError):
        decode(rubbish)
    assert run(one("drop")) == (None, None, 0)


def test_a_fault_asked_for_by_a_request_is_refused_and_counted_outside_qa_and_honoured_within(
    memory: Place, tmp_path: Path, run: Any
) -> None:
    fault = Diagnostics(faults=[{"model": "champion", "fault": "error"}, {"model": "other", "fault": "hang"}])

    async def ask(qa: bool) -> tuple[Message, Scaffold]:
        settings = ScaffoldSettings(state_interval_ms=20, qa=qa)
        async with serving(memory, bundle_in(tmp_path), FrameStore(tmp_path), settings=settings) as (watcher, scaffold):
            await watcher.ask(question(diagnostics=fault))
            return await watcher.said.get(), scaffold

    said, scaffold = run(ask(qa=False))
    assert isinstance(said, Score)
    assert scaffold.counts["diagnostics-refused-fault"] == 1
    said, _ = run(ask(qa=True))
    assert isinstance(said, Declined)


def test_a_score_that_was_slowed_on_purpose_says_so_and_its_request_is_logged_step_by_step(
    memory: Place, tmp_path: Path, run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    asked = Diagnostics(log_level="debug", faults=[{"model": "champion", "fault": "slow:1"}])

    async def ask() -> tuple[Message, Message]:
        settings = ScaffoldSettings(state_interval_ms=20, qa=True)
        async with serving(memory, bundle_in(tmp_path), FrameStore(tmp_path), settings=settings) as (watcher, _):
            await watcher.ask(question(diagnostics=asked))
            slowed = await watcher.said.get()
            await watcher.ask(question())
            return slowed, await watcher.said.get()

    assert not logging.getLogger("roost_models").isEnabledFor(logging.INFO)
    slowed, plain = run(ask())
    assert slowed.provenance.overrides == ["fault model champion slow:1"]
    assert plain.provenance.overrides == []
    steps = [record for record in caplog.records if hasattr(record, "fields") and "requestId" in record.fields]
    assert [record.getMessage() for record in steps] == ["model: taken", "model: answers"]


def test_settings_out_of_bounds_are_refused() -> None:
    for bad in ({"state_interval_ms": 0}, {"max_evaluation_ms": 1}, {"remembered": 0}):
        with pytest.raises(ValueError, match="between"):
            ScaffoldSettings(**bad)
    with pytest.raises(Misuse):
        Fault.parse("kill")
