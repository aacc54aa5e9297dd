"""A scaffold's life: warming, ready, stopped, failed, and its successor."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scaffold_world import BRIGHTNESS, Gate, Place, Watcher, bundle_in, question, serving

from roost_broker.errors import RoostError
from roost_broker.faults import Fault
from roost_broker.frames import FrameStore
from roost_broker.messages import Declined, ModelState, Score
from roost_models.inference.warming import ModelFailed
from roost_models.scaffold.role import ScaffoldSettings


def test_states_tell_the_whole_life_and_the_last_one_is_retained(place: Place, tmp_path: Path, run: Any) -> None:
    async def main() -> list[ModelState]:
        async with serving(place, bundle_in(tmp_path), FrameStore(tmp_path), wait="") as (watcher, _):
            states = [await watcher.states.get()]
            while states[-1].state != "ready":
                states.append(await watcher.states.get())
        late = Watcher(place.bus("late"), place.topics)
        late.listen()
        await late.bus.start()
        states.append(await late.states.get())
        await late.bus.stop()
        return states

    states = run(main())
    assert [state.state for state in states] == ["starting", "warming", "ready", "stopped"]
    assert {state.session for state in states} == {3}
    assert states[2].runtime


def test_before_it_is_ready_it_says_so(memory: Place, tmp_path: Path, run: Any) -> None:
    async def main() -> None:
        gate = Gate(tmp_path)
        bundle = bundle_in(tmp_path, f"import pathlib; pathlib.Path({str(gate.path)!r}).read_text()\n{BRIGHTNESS}")
        async with serving(memory, bundle, FrameStore(tmp_path), wait="warming") as (watcher, _):
            await gate.reached()
            await watcher.ask(question())
            assert (await watcher.declined()).reason == "not-ready"
            gate.open()
            await watcher.state("ready")
            await watcher.ask(question())
            await watcher.score()

    run(main())


@pytest.mark.parametrize(
    ("source", "fields", "words"),
    [
        ("raise RuntimeError('broken')", {}, "broken"),
        ("raise SystemExit(0)", {}, "SystemExit"),
        (BRIGHTNESS, {"runtime": {"python": ">=4"}}, "needs Python"),
        (
            BRIGHTNESS,
            {"goldens": [{"input": "ramps.png", "outputs": [{"label": "dark", "score": 0.1}]}]},
            "does not answer its goldens",
        ),
        (
            "def predict(image, context): raise KeyError('hen')",
            {"goldens": [{"input": "ramps.png"}]},
            "raised while it was warmed",
        ),
    ],
)
def test_a_model_that_cannot_serve_says_why_and_the_process_ends(
    source: str, fields: dict[str, Any], words: str, memory: Place, tmp_path: Path, run: Any
) -> None:
    async def main() -> None:
        async with serving(memory, bundle_in(tmp_path, source, **fields), FrameStore(tmp_path), wait="") as (
            watcher,
            _,
        ):
            assert words in (await watcher.state("failed")).detail

    with pytest.raises(RoostError, match=words):
        run(main())


def test_an_evaluation_that_never_ends_ends_the_process_aloud(memory: Place, tmp_path: Path, run: Any) -> None:
    settings = ScaffoldSettings(state_interval_ms=20, max_evaluation_ms=100)

    async def main() -> None:
        hang = Fault.parse("hang")
        serve = serving(memory, bundle_in(tmp_path), FrameStore(tmp_path), faults=hang, settings=settings)
        async with serve as (watcher, _):
            await watcher.ask(question())
            assert "has not ended" in (await watcher.state("failed")).detail

    with pytest.raises(ModelFailed, match="has not ended"):
        run(main())


def test_what_was_not_answered_when_the_process_died_is_delivered_to_the_next(
    place: Place, tmp_path: Path, run: Any
) -> None:
    """1. The model hangs on a request. 2. It is stopped. 3. Its successor hears of the request again."""

    async def main() -> None:
        request = question()
        hang = Fault.parse("hang")
        async with serving(place, bundle_in(tmp_path), FrameStore(tmp_path), faults=hang) as (watcher, scaffold):
            await watcher.ask(request)
            while not scaffold.counts["requests"]:
                await watcher.state("ready")
        async with serving(place, bundle_in(tmp_path), FrameStore(tmp_path), wait="") as (watcher, _):
            said = await watcher.said.get()  # a decline while it warms, or a score
            assert isinstance(said, Score | Declined)
            assert said.request_id == request.request_id

    run(main())


def test_a_defect_of_our_own_ends_the_process_and_leaves_no_ready_behind(
    memory: Place, tmp_path: Path, run: Any
) -> None:
    broken: Any = replace(bundle_in(tmp_path), digest=None)  # nobody foresaw this

    async def main() -> None:
        async with serving(memory, broken, FrameStore(tmp_path), wait="") as (watcher, _):
            assert "subscriptable" in (await watcher.state("failed")).detail

    with pytest.raises(TypeError):
        run(main())


def test_a_models_state_tells_what_it_was_asked_what_it_said_how_long_that_took_and_what_it_costs(
    memory: Place, tmp_path: Path, run: Any
) -> None:
    """Promise L11; and again though nothing has changed, because memory and processor time do."""

    async def main() -> None:
        settings = ScaffoldSettings(state_interval_ms=20)
        async with serving(memory, bundle_in(tmp_path), FrameStore(tmp_path), settings=settings) as (watcher, _):
            await watcher.ask(question())
            state = await watcher.state("ready")
            while not state.labels:
                state = await watcher.state("ready")
            assert state.counts["requests"] == sum(state.labels.values()) == 1
            assert state.compute_p50_ms is not None
            assert state.compute_p50_ms == state.compute_p99_ms
            assert state.usage is not None
            assert state.usage.memory_bytes > 1_000_000
            later = await watcher.state("ready")
            assert later.usage is not None
            assert later.usage.cpu_ms >= state.usage.cpu_ms
            assert later.counts == state.counts

    run(main())
