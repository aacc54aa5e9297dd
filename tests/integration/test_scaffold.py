"""A scaffold from the input topic to the scores topic, on the memory bus and on a real Mosquitto.

Where a model must take its time it waits at a `Gate`, a named pipe that the test opens: nobody waits for a clock.
"""

import asyncio
import base64
import hashlib
import itertools
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from roost_broker.bus import Bus, Delivery
from roost_broker.clock import SystemClock, boot_id
from roost_broker.errors import Misuse, RoostError
from roost_broker.frames import FrameStore
from roost_broker.ids import new_id
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_broker.messages import (
    DeadLetter,
    Declined,
    Diagnostics,
    FrameRef,
    Input,
    Issued,
    Message,
    ModelState,
    Request,
    Score,
    decode,
    encode,
)
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.topics import NodeTopics, TaskTopics
from roost_models.bundle.goldens import ramps
from roost_models.bundle.opening import Bundle, open_bundle
from roost_models.bundle.writing import write_bundle
from roost_models.compute_thread import ComputeThread
from roost_models.inference.images import encode_png
from roost_models.inference.warming import ModelFailed
from roost_models.scaffold.faults import Faults
from roost_models.scaffold.presence import model_will
from roost_models.scaffold.role import Scaffold, ScaffoldSettings, receive_maximum

CLOCK = SystemClock()
PICTURE = encode_png(ramps())
QUICK = ScaffoldSettings(state_interval_ms=20)
_numbers = itertools.count()

BRIGHTNESS = """
def predict(image, context):
    brightness = float(image.mean()) / 255
    return {"bright": brightness, "dark": 1 - brightness}
"""
HELD = """
import pathlib

def predict(image, context):
    if context.values.get("raise"):
        raise RuntimeError("the model's own mistake")
    if "gate" in context.values:
        pathlib.Path(context.values["gate"]).read_text()
    return {"bright": 1.0}
"""


class Gate:
    """A model that reads the pipe waits until `open`; `reached` returns when it does so."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"gate-{next(_numbers)}"
        os.mkfifo(self.path)
        self._thread = ComputeThread("gate")  # a daemon: a test that fails must not wait for a model
        self._writer: IO[str] | None = None

    def question(self, **fields: Any) -> Request:
        return question(input=Input(values={"gate": str(self.path)}), **fields)

    async def reached(self) -> None:
        self._writer = await self._thread.call(lambda: self.path.open("w"))

    def open(self) -> None:
        assert self._writer is not None
        self._writer.close()
        self._thread.end()


class Place:
    """A broker to connect to: memory or Mosquitto."""

    def __init__(self, connect: Callable[..., Bus]) -> None:
        self._connect = connect
        self.topics = NodeTopics(f"scaffold-{next(_numbers)}-{new_id(CLOCK.wall_ns())[-6:]}").task("nest")

    def bus(self, name: str, **options: Any) -> Bus:
        return self._connect(f"{self.topics.device.node}-{name}", **options)


@pytest.fixture(params=["memory", pytest.param("mosquitto", marks=pytest.mark.broker)])
def place(request: pytest.FixtureRequest) -> Place:
    if request.param == "memory":
        broker = MemoryBroker()
        return Place(lambda name, **options: MemoryBus(broker, name, **options))
    private: PrivateBroker = request.getfixturevalue("mosquitto")
    return Place(lambda name, **options: MqttBus(private.settings(), name, **options))


@pytest.fixture
def memory() -> Place:
    broker = MemoryBroker()
    return Place(lambda name, **options: MemoryBus(broker, name, **options))


@dataclass
class Watcher:
    """A client that asks and listens."""

    bus: Bus
    topics: TaskTopics
    said: "asyncio.Queue[Message]" = field(default_factory=asyncio.Queue)
    raw: list[bytes] = field(default_factory=list)
    states: "asyncio.Queue[ModelState]" = field(default_factory=asyncio.Queue)
    letters: "asyncio.Queue[DeadLetter]" = field(default_factory=asyncio.Queue)

    def listen(self) -> None:
        self.bus.subscribe(self.topics.all_scores, self._on_score)
        self.bus.subscribe(self.topics.all_model_states, self._on_state)
        self.bus.subscribe(self.topics.deadletter, self._on_letter)

    def _on_score(self, delivery: Delivery) -> None:
        delivery.ack()
        self.raw.append(delivery.payload)
        self.said.put_nowait(decode(delivery.payload))

    def _on_state(self, delivery: Delivery) -> None:
        delivery.ack()
        state = decode(delivery.payload)
        assert isinstance(state, ModelState)
        self.states.put_nowait(state)

    def _on_letter(self, delivery: Delivery) -> None:
        delivery.ack()
        letter = decode(delivery.payload)
        assert isinstance(letter, DeadLetter)
        self.letters.put_nowait(letter)

    async def ask(self, request: Request) -> bytes:
        payload = encode(request)
        await self.bus.publish(self.topics.input, payload)
        return payload

    async def score(self) -> Score:
        said = await self.said.get()
        assert isinstance(said, Score), said
        return said

    async def declined(self) -> Declined:
        said = await self.said.get()
        assert isinstance(said, Declined), said
        return said

    async def state(self, wanted: str) -> ModelState:
        while (state := await self.states.get()).state != wanted:
            pass
        return state


def question(deadline_ms: int = 60_000, **fields: Any) -> Request:
    wall = CLOCK.wall_ns()
    asked = fields.pop("input", None) or Input(inline=base64.b64encode(PICTURE).decode())
    name = new_id(wall)
    return Request(
        timestamp=wall // 1_000_000,
        message_id=name,
        request_id=name,
        return_address="roost/x/nest/results/test",
        deadline_ms=deadline_ms,
        input=asked,
        **fields,
    )


def bundle_in(folder: Path, source: str = BRIGHTNESS, **fields: Any) -> Bundle:
    manifest = {
        "name": "brightness",
        "version": "1.0",
        "task": "nest",
        "engine": "python",
        "entry": "model.py",
        "labels": ["bright", "dark"],
        "input": {"width": 8, "height": 6},
        "licence": "Apache-2.0",
        **fields,
    }
    return write_bundle(folder / "bundle", manifest, {"model.py": source.encode(), "ramps.png": PICTURE})


@asynccontextmanager
async def serving(
    place: Place,
    bundle: Bundle,
    frames: FrameStore,
    *,
    faults: Faults | None = None,
    settings: ScaffoldSettings = QUICK,
    wait: str = "ready",
) -> AsyncIterator[tuple[Watcher, Scaffold]]:
    """A scaffold that runs as long as the block, and a watcher of it."""
    watcher = Watcher(place.bus("watcher"), place.topics)
    watcher.listen()
    await watcher.bus.start()
    will = model_will(place.topics, "champion", 3, CLOCK, bundle)
    scaffold = Scaffold(
        place.bus("champion", will=will, receive_maximum=receive_maximum(bundle)),
        place.topics,
        "champion",
        bundle,
        frames,
        clock=CLOCK,
        node=place.topics.device.node,
        session=3,
        faults=faults,
        settings=settings,
    )
    stop = asyncio.Event()
    running = asyncio.ensure_future(scaffold.run(stop))
    try:
        if wait:
            await watcher.state(wait)
        yield watcher, scaffold
    finally:
        stop.set()
        try:
            await running
        finally:
            await watcher.bus.stop()


def test_a_request_is_answered_with_what_was_seen_and_by_whom(place: Place, tmp_path: Path, run: Any) -> None:
    frames = FrameStore(tmp_path / "frames")
    bundle = bundle_in(tmp_path, goldens=[{"input": "ramps.png"}])

    async def main() -> None:
        async with serving(place, bundle, frames) as (watcher, _):
            ref = frames.put(PICTURE, width=64, height=48, media_type="image/png")
            request = question(input=Input(frame=ref))
            payload = await watcher.ask(request)
            score = await watcher.score()
            assert score.request_id == request.request_id
            assert score.saw == hashlib.sha256(payload).hexdigest()
            assert score.bundle == bundle.digest
            assert score.model == "champion"
            assert score.version == "1.0"
            assert score.runtime.startswith("python 3.")
            assert [output.label for output in score.outputs] == ["dark", "bright"]
            assert score.provenance.path[-1].component == "model champion"
            await watcher.ask(question())  # a small picture inline
            assert (await watcher.score()).outputs == score.outputs
            counts = (await watcher.state("ready")).counts
            while counts.get("answered") != 2:  # counts follow within the state's interval
                counts = (await watcher.state("ready")).counts
            assert counts["requests"] == 2

    run(main())


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


def test_a_frame_that_cannot_be_used_is_declined_with_that_reason(place: Place, tmp_path: Path, run: Any) -> None:
    frames = FrameStore(tmp_path / "frames")
    good = frames.put(PICTURE, width=64, height=48)
    rubbish = frames.put(b"no picture at all", width=1, height=1)

    def variant(data: bytes) -> FrameRef:
        ref = frames.put(data, width=64, height=48)
        return ref

    truncated, altered = variant(PICTURE + b"1"), variant(PICTURE + b"2")
    frames.path(truncated.sha256).write_bytes(PICTURE)
    frames.path(altered.sha256).write_bytes(PICTURE + b"3")
    missing = FrameRef(sha256="0" * 64, bytes=5, path="x", width=1, height=1)
    cases = {
        "frame-missing": Input(frame=missing),
        "frame-truncated": Input(frame=truncated),
        "frame-altered": Input(frame=altered),
        "bad-input": Input(frame=rubbish),
    }

    async def main() -> None:
        async with serving(place, bundle_in(tmp_path), frames) as (watcher, scaffold):
            for reason, asked in cases.items():
                request = question(input=asked)
                await watcher.ask(request)
                declined = await watcher.declined()
                assert (declined.request_id, declined.reason) == (request.request_id, reason)
                assert declined.detail
            await watcher.ask(question(input=Input(inline="not base64!")))
            assert (await watcher.declined()).reason == "bad-input"
            await watcher.ask(question(input=Input(frame=good)))
            await watcher.score()
            assert scaffold.counts["declined_bad_input"] == 2

    run(main())


def test_a_request_delivered_again_gets_the_same_bytes_again(place: Place, tmp_path: Path, run: Any) -> None:
    async def main() -> None:
        async with serving(place, bundle_in(tmp_path), FrameStore(tmp_path)) as (watcher, scaffold):
            request = question()
            for _ in range(3):
                await watcher.ask(request)
                await watcher.score()
            assert len(set(watcher.raw)) == 1
            assert scaffold.counts["batches"] == 1
            assert scaffold.counts["repeated"] == 2

    run(main())


def test_what_does_not_decode_goes_to_the_dead_letters_and_the_next_is_answered(
    place: Place, tmp_path: Path, run: Any
) -> None:
    async def main() -> None:
        async with serving(place, bundle_in(tmp_path), FrameStore(tmp_path)) as (watcher, _):
            await watcher.bus.publish(place.topics.input, b"\xff rubbish")
            assert "Not a Roost message" in (await watcher.letters.get()).reason
            no_request = model_will(place.topics, "champion", 1, CLOCK).payload
            await watcher.bus.publish(place.topics.input, no_request)
            assert "is not a request" in (await watcher.letters.get()).reason
            await watcher.ask(question())
            await watcher.score()

    run(main())


def test_while_the_model_computes_the_older_waiting_request_is_declined_the_moment_a_newer_one_comes(
    place: Place, tmp_path: Path, run: Any
) -> None:
    async def main() -> None:
        bundle = bundle_in(tmp_path, HELD)
        async with serving(place, bundle, FrameStore(tmp_path)) as (watcher, scaffold):
            gate = Gate(tmp_path)
            first, second, third = gate.question(), question(), question()
            await watcher.ask(first)
            await gate.reached()
            await watcher.ask(second)
            await watcher.ask(third)
            declined = await watcher.declined()  # the model still computes
            assert (declined.request_id, declined.reason) == (second.request_id, "behind")
            gate.open()
            assert [(await watcher.score()).request_id for _ in "ac"] == [first.request_id, third.request_id]
            assert scaffold.counts["declined_behind"] == 1

    run(main())


def test_a_batching_model_evaluates_the_waiting_together(place: Place, tmp_path: Path, run: Any) -> None:
    async def main() -> None:
        bundle = bundle_in(tmp_path, HELD, batch={"sizes": [1, 4]}, queue={"strategy": "batch", "max_waiting": 4})
        async with serving(place, bundle, FrameStore(tmp_path)) as (watcher, scaffold):
            gate = Gate(tmp_path)
            await watcher.ask(gate.question())
            await gate.reached()
            waiting = [question() for _ in range(4)]
            for request in waiting:
                await watcher.ask(request)
            while scaffold.counts["requests"] < 5:
                await watcher.state("ready")
            gate.open()
            assert (await watcher.score()).batch == 1
            scores = [await watcher.score() for _ in waiting]
            assert [score.request_id for score in scores] == [request.request_id for request in waiting]
            assert {score.batch for score in scores} == {4}

    run(main())


def test_of_a_batch_only_the_request_at_which_the_model_raises_is_declined(
    memory: Place, tmp_path: Path, run: Any
) -> None:
    async def main() -> None:
        bundle = bundle_in(tmp_path, HELD, batch={"sizes": [1, 2]}, queue={"strategy": "batch", "max_waiting": 2})
        async with serving(memory, bundle, FrameStore(tmp_path)) as (watcher, scaffold):
            gate = Gate(tmp_path)
            await watcher.ask(gate.question())
            await gate.reached()
            bad, good = question(input=Input(values={"raise": True})), question()
            await watcher.ask(bad)
            await watcher.ask(good)
            while scaffold.counts["requests"] < 3:
                await watcher.state("ready")
            gate.open()
            await watcher.score()
            declined = await watcher.declined()
            assert (declined.request_id, declined.reason) == (bad.request_id, "failed")
            assert "the model's own mistake" in declined.detail
            assert (await watcher.score()).request_id == good.request_id

    run(main())


def test_a_request_whose_time_was_over_when_it_came_is_declined_expired(place: Place, tmp_path: Path, run: Any) -> None:
    async def main() -> None:
        async with serving(place, bundle_in(tmp_path), FrameStore(tmp_path)) as (watcher, _):
            issued = Issued(boot=boot_id(), seq=1, monotonic_ns=CLOCK.monotonic_ns() - 10**9)
            await watcher.ask(question(deadline_ms=900, issued=issued))
            assert (await watcher.declined()).reason == "expired"
            elsewhere = Issued(boot="f" * 32, seq=1, monotonic_ns=1)
            await watcher.ask(question(issued=elsewhere))  # another machine's clock says nothing here
            await watcher.score()

    run(main())


def test_a_request_that_expires_while_the_model_computes_is_declined_then(
    memory: Place, tmp_path: Path, run: Any
) -> None:
    async def main() -> None:
        async with serving(memory, bundle_in(tmp_path, HELD), FrameStore(tmp_path)) as (watcher, _):
            gate = Gate(tmp_path)
            await watcher.ask(gate.question())
            await gate.reached()
            await watcher.ask(question(deadline_ms=30))
            assert (await watcher.declined()).reason == "expired"
            gate.open()
            await watcher.score()

    run(main())


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
        hang = Faults.parse("hang")
        serve = serving(memory, bundle_in(tmp_path), FrameStore(tmp_path), faults=hang, settings=settings)
        async with serve as (watcher, _):
            await watcher.ask(question())
            assert "has not ended" in (await watcher.state("failed")).detail

    with pytest.raises(ModelFailed, match="has not ended"):
        run(main())


def test_a_hanging_model_still_declines_what_it_will_never_reach_and_stops_when_told(
    place: Place, tmp_path: Path, run: Any
) -> None:
    async def main() -> None:
        hang = Faults.parse("hang")
        async with serving(place, bundle_in(tmp_path), FrameStore(tmp_path), faults=hang) as (watcher, _):
            for _ in range(3):
                await watcher.ask(question())
            assert (await watcher.declined()).reason == "behind"

    run(main())


def test_the_faults_wrong_error_and_drop_do_what_they_say(place: Place, tmp_path: Path, run: Any) -> None:
    async def one(fault: str) -> tuple[Declined | None, bytes | None, int]:
        seen: asyncio.Queue[bytes] = asyncio.Queue()
        bundle = bundle_in(tmp_path)
        async with serving(place, bundle, FrameStore(tmp_path), faults=Faults.parse(fault)) as (watcher, scaffold):
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
    assert scaffold.counts["faults_refused"] == 1
    said, _ = run(ask(qa=True))
    assert isinstance(said, Declined)


def test_what_was_not_answered_when_the_process_died_is_delivered_to_the_next(
    place: Place, tmp_path: Path, run: Any
) -> None:
    """1. The model hangs on a request. 2. It is stopped. 3. Its successor hears of the request again."""

    async def main() -> None:
        request = question()
        hang = Faults.parse("hang")
        async with serving(place, bundle_in(tmp_path), FrameStore(tmp_path), faults=hang) as (watcher, scaffold):
            await watcher.ask(request)
            while not scaffold.counts["requests"]:
                await watcher.state("ready")
        async with serving(place, bundle_in(tmp_path), FrameStore(tmp_path), wait="") as (watcher, _):
            said = await watcher.said.get()  # a decline while it warms, or a score
            assert isinstance(said, Score | Declined)
            assert said.request_id == request.request_id

    run(main())


def test_settings_out_of_bounds_are_refused() -> None:
    for bad in ({"state_interval_ms": 0}, {"max_evaluation_ms": 1}, {"remembered": 0}):
        with pytest.raises(ValueError, match="between"):
            ScaffoldSettings(**bad)
    with pytest.raises(Misuse):
        Faults.parse("kill")


def test_the_committed_champion_serves_behind_the_same_scaffold(place: Place, tmp_path: Path, run: Any) -> None:
    folder = Path(__file__).resolve().parents[2] / "models" / "henhouse" / "bundles" / "champion"
    if not folder.is_dir():
        pytest.skip(f"No champion bundle in {folder}: make it with the henhouse's recipe.")
    bundle = open_bundle(folder)
    frames = FrameStore(tmp_path / "frames")
    golden = next(golden for golden in bundle.manifest.goldens if golden.input and golden.outputs)
    assert golden.input is not None
    ref = frames.put(bundle.read(golden.input), width=1, height=1)

    async def main() -> None:
        async with serving(place, bundle, frames) as (watcher, _):
            await watcher.ask(question(input=Input(frame=ref)))
            score = await watcher.score()
            assert score.outputs[0].label == golden.outputs[0].label
            assert score.outputs[0].score == pytest.approx(golden.outputs[0].score, abs=golden.tolerance)
            assert "float32" in score.runtime

    run(main())
