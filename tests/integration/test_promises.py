"""Promises of the design at the level of the real flow: real processes, a real Mosquitto, a requester with a watch.

What each promise is, and which other tests show it, stands in docs/promises.md.
"""

import fcntl
import hashlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from requester import CLOCK, Requester
from task_device import NODE, Device, schedule

from roost_broker.bus import Delivery
from roost_broker.clock import MS
from roost_broker.errors import QueueFull
from roost_broker.frames import FrameStore
from roost_broker.ids import new_id
from roost_broker.messages import (
    Declined,
    Diagnostics,
    FrameRef,
    Input,
    Output,
    Request,
    Result,
    Score,
    decode,
    encode,
)
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.settings import BrokerSettings
from roost_edge.processes.supervisor import Supervisor
from roost_models.archive.reading import ArchiveReader
from roost_models.bundle.goldens import ramps
from roost_models.inference.images import encode_png
from roost_rendezvous import schedule as schedules

pytestmark = [pytest.mark.broker, pytest.mark.processes]

Run: TypeAlias = Callable[..., Any]
BUNDLES = Path(__file__).resolve().parents[2] / "models" / "henhouse" / "bundles"

ANSWERS = """
def predict(image, context):
    return {"here": 1.0}
"""
LATE = """
import fcntl

evaluations = 0

def load(folder):
    with open("GATE") as gate:  # until the test lets go of it
        fcntl.flock(gate, fcntl.LOCK_SH)

def predict(image, context):
    global evaluations
    evaluations += 1
    return {"here": float(evaluations - 1)}  # how often it was asked before
"""


@pytest.fixture
def device(tmp_path: Path, own_mosquitto: PrivateBroker) -> Device:
    return Device(tmp_path, own_mosquitto)


@pytest.fixture
def qa_device(tmp_path: Path, own_mosquitto: PrivateBroker) -> Device:
    return Device(tmp_path, own_mosquitto, qa=True)


def pids(supervisor: Supervisor) -> dict[str, int | None]:
    return {role.name: supervisor.pid(role.name) for role in supervisor.roles}


def chosen(results: list[Result]) -> set[tuple[str, str | None]]:
    """Cause and model of each answer."""
    return {(result.cause, result.answer.model if result.answer else None) for result in results}


def test_every_model_the_canary_and_the_decoy_see_the_same_bytes_of_every_request(run: Run, device: Device) -> None:
    """V1, V2, D1: sixty overlapping requests of one requester."""
    models = ("champion", "fast", "canary")
    device.task(schedule((0, ["champion"]), (600, ["fast"]), ignore=("canary",)), **dict.fromkeys(models, ANSWERS))

    async def story() -> None:
        async with Requester(device) as door, device.up() as supervisor:
            ids = door.ask_many(60)
            results = await door.answered()
            await door.heard(*models)
            await door.until(lambda: len(door.receipts) == len(ids))
            for number, (request_id, result) in enumerate(zip(ids, results, strict=True)):
                digest = hashlib.sha256(door.inputs[request_id]).hexdigest()
                seen = {model: word.saw for model, word in door.words[request_id].items()}
                assert seen == dict.fromkeys(models, digest)
                assert door.receipts[request_id].saw == digest
                assert result.input == Input(values={"number": number})  # its own question, not a neighbour's
                assert not any(model.encode() in door.inputs[request_id] for model in models)
            assert all(b'"colourOfTheFuture":"teal"' in payload for payload in door.inputs.values())
            assert chosen(results) == {("preferred", "champion")}
            door.assert_each_answered_once_in_time()
        with ArchiveReader(supervisor.settings.layout.archive("nest")) as archive:
            assert {item.request_id: item.payload for item in archive.inputs()} == door.inputs
            assert archive.stats().scores_of_other_bytes == 0

    run(story(), timeout=60)


class Flooder:
    """A model that answers each request with a flood: strangers, rubbish, and words in another model's name."""

    def __init__(self, device: Device, forged: str) -> None:
        self.topics, self._forged = device.topics.task("nest"), forged
        self.bus = MqttBus(BrokerSettings(port=device.broker.port, session_expiry_s=600), f"{NODE}-flooder")
        self.bus.subscribe(self.topics.input, self._arrived)
        self.flooded = 0

    def _arrived(self, delivery: Delivery) -> None:
        request = decode(delivery.payload)
        assert isinstance(request, Request)
        forged = self._score(request.request_id, self._forged)
        with suppress(QueueFull):
            for _ in range(40):
                for payload in (self._score(new_id(CLOCK.wall_ns()), "flooder"), b"{rubbish", forged):
                    self.bus.publish(self.topics.scores("flooder"), payload)
                    self.flooded += 1
        delivery.ack()

    def _score(self, request_id: str, model: str) -> bytes:
        wall = CLOCK.wall_ns()
        outputs = [Output(label="forged", score=1.0)]
        score = Score(
            timestamp=wall // MS,
            message_id=new_id(wall),
            request_id=request_id,
            model=model,
            version="1",
            outputs=outputs,
        )
        return encode(score)


def test_with_models_slow_hung_killed_wrong_flooding_and_absent_at_once_every_answer_is_in_time(
    run: Run, qa_device: Device
) -> None:
    """V4 by the requester's watch; then the last good model is withdrawn too, by schedule, and defaults are in time."""
    bad = ["absent", "killed", "hung", "slow", "wrong", "flooder"]
    present = ("killed", "hung", "slow", "wrong", "steady")
    qa_device.task(schedule((0, bad), (500, ["steady"])), **dict.fromkeys(present, ANSWERS))
    faults = {"model-nest-slow": "slow:60000", "model-nest-wrong": "wrong"}

    async def story() -> None:
        async with Requester(qa_device) as door, qa_device.up(faults=faults) as supervisor:
            flooder = Flooder(qa_device, forged="absent")
            await flooder.bus.start()
            supervisor.kill("model-nest-killed", signal.SIGKILL, restart=False)
            supervisor.kill("model-nest-hung", signal.SIGSTOP)
            before = pids(supervisor)
            for _ in range(4):
                await door.answered(*door.ask_many(10))
            with_steady = list(door.sent)
            assert chosen(await door.answered()) == {("fallback", "steady")}
            assert {result.answer.label for result in await door.answered() if result.answer} == {"here"}
            await door.publish(schedule((0, bad)))
            defaults = await door.answered(*door.ask_many(10))
            assert {result.default.label for result in defaults if result.default} == {"unknown"}
            assert chosen(defaults) == {("default", None)}
            assert flooder.flooded >= 1000
            door.assert_each_answered_once_in_time()
            # The hung one comes back to a heap of old questions: nobody is answered a second time.
            supervisor.kill("model-nest-hung", signal.SIGCONT)
            await door.heard("hung")
            last = await door.answered(door.ask())
            assert chosen(last) <= {("preferred", "hung"), ("fallback", "hung")}
            door.assert_each_answered_once_in_time()
            assert len(with_steady) == 40
            after = pids(supervisor)
            del before["model-nest-killed"], after["model-nest-killed"]
            assert after == before
            await flooder.bus.stop()

    run(story(), timeout=60)


def test_a_model_is_deployed_promoted_and_withdrawn_by_schedule_alone_and_no_process_is_touched(
    run: Run, device: Device
) -> None:
    """V6, and a schedule replaced while requests are open: each is decided by the schedule it began with."""
    shadow = schedule((0, ["champion"]), ignore=("novice",))
    promoted = schedule((0, ["novice"]), (600, ["champion"]))
    device.task(shadow, champion=ANSWERS, novice=ANSWERS)

    async def story() -> None:
        async with Requester(device) as door, device.up() as supervisor:
            before = pids(supervisor)
            for new, model in ((promoted, "novice"), (shadow, "champion"), (promoted, "novice")):
                under_way = door.ask_many(10)
                await door.publish(new)
                results = await door.answered(*door.ask_many(10))
                assert chosen(results) == {("preferred", model)}
                assert {result.schedule_version for result in results} == {new.version}
                for result in await door.answered(*under_way):
                    assert result.answer is not None
                    assert (result.schedule_version == promoted.version) == (result.answer.model == "novice")
            await door.heard("champion", "novice")  # whoever is official, both saw and answered everything
            door.assert_each_answered_once_in_time()
            assert pids(supervisor) == before
            assert all(supervisor.restarts(name) == 0 for name in before)

    run(story(), timeout=60)


@contextmanager
def held(gate: Path) -> Iterator[Callable[[], None]]:
    """A model whose `load` waits for this file waits until the function is called."""
    with gate.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield lambda: fcntl.flock(file, fcntl.LOCK_UN)


def test_a_preferred_model_that_is_still_warming_is_not_waited_for_and_counts_only_when_it_is_ready(
    run: Run, device: Device
) -> None:
    """V6: `warming` precedes `ready`; the first official answer comes from a model that has been evaluated before."""
    gate = device.folder / "gate"
    first = schedule((0, ["novice"]), (1500, ["champion"]))
    device.task(first, champion=ANSWERS, novice=LATE.replace("GATE", str(gate)))

    async def story() -> None:
        with held(gate) as let_go:
            async with Requester(device) as door, device.up(ready=False) as supervisor:
                others = [role.name for role in supervisor.roles if role.name != "model-nest-novice"]
                await door.until(lambda: {supervisor.state(name) for name in others} == {"ready"})
                await door.until(lambda: door.states_of("novice")[-1:] == ["warming"])
                early = await door.answered(*door.ask_many(10))
                assert chosen(early) == {("fallback", "champion")}
                assert max(result.elapsed_ms for result in early) < 1500
                for request_id in list(door.sent):
                    word = door.words[request_id]["novice"]
                    assert isinstance(word, Declined)
                    assert word.reason == "not-ready"
                let_go()
                await door.until(lambda: door.states_of("novice")[-1:] == ["ready"])
                late = await door.answered(*door.ask_many(10))
                assert chosen(late) == {("preferred", "novice")}
                assert door.states_of("novice") == ["starting", "warming", "ready"]
                asked_before = [result.answer.score for result in late if result.answer]
                assert min(asked_before) >= 1, "the goldens and the warming rounds come before the first request"
                door.assert_each_answered_once_in_time()

    run(story(), timeout=60)


@pytest.mark.parametrize("qa", [False, True], ids=["in-production", "in-qa"])
def test_a_requests_own_schedule_and_faults_are_honoured_in_qa_and_elsewhere_refused_and_counted(
    run: Run, tmp_path: Path, own_mosquitto: PrivateBroker, qa: bool
) -> None:
    """V7."""
    device = Device(tmp_path, own_mosquitto, qa=qa)
    device.task(schedule((0, ["first"]), (600, ["second"])), first=ANSWERS, second=ANSWERS)
    override = Diagnostics(schedule=schedules.to_object(schedule((0, ["second"]))))
    fault = Diagnostics(faults=[{"model": "first", "fault": "error"}])

    async def story() -> None:
        async with Requester(device) as door, device.up() as supervisor:
            before = pids(supervisor)
            trace = Diagnostics(trace=True)
            ids = door.ask(diagnostics=override), door.ask(diagnostics=fault), door.ask(diagnostics=trace), door.ask()
            overridden, faulty, traced, plain = await door.answered(*ids)
            await door.heard("first", "second")
            word = door.words[ids[1]]["first"]
            assert chosen([plain, traced]) == {("preferred", "first")}
            assert [hop.component for hop in plain.provenance.path] == ["injector", "rendezvous"]
            way = ["injector", "model first", "rendezvous"] if qa else ["injector", "rendezvous"]
            assert [hop.component for hop in traced.provenance.path] == way
            if qa:
                assert chosen([overridden]) == {("override", "second")}
                assert isinstance(word, Declined)
                assert word.reason == "failed"
                assert chosen([faulty]) == {("fallback", "second")}
            else:
                assert chosen([overridden, faulty]) == {("preferred", "first")}
                assert overridden.schedule_version == plain.schedule_version
                assert isinstance(word, Score)
            await door.until(lambda: door.counts["rendezvous-nest"].get("requests") == len(ids))
            await door.until(lambda: door.counts["first"].get("requests") == len(ids))
            assert door.counts["rendezvous-nest"].get("override-refused", 0) == (0 if qa else 1)
            assert door.counts["first"].get("diagnostics-refused-fault", 0) == (0 if qa else 1)
            refusals = [event.data["requestId"] for event in door.events() if event.kind == "override-refused"]
            assert refusals == ([] if qa else [ids[0]])
            door.assert_each_answered_once_in_time()
            assert pids(supervisor) == before

    run(story(), timeout=60)


def test_a_frame_missing_truncated_or_altered_is_declined_with_that_reason_and_the_request_is_answered(
    run: Run, device: Device
) -> None:
    """V8: by a model that needs no picture where there is one, else by the default; the archive says what it lacks."""
    device.task(schedule((0, ["rules"]), (1500, ["blind"])), rules=BUNDLES / "rules", blind=ANSWERS)
    without = schedule((0, ["rules"]), ignore=("blind",))
    frames = FrameStore(device.folder / "data" / "frames")

    def frame(shade: int) -> FrameRef:
        picture = ramps()
        picture[0, 0] = shade  # another picture
        return frames.put(encode_png(picture), width=64, height=48, media_type="image/png")

    def spoilt(shade: int) -> dict[str, FrameRef]:
        missing, truncated, altered = (frame(shade + number) for number in range(3))
        frames.remove(missing.sha256)
        path = frames.path(truncated.sha256)
        path.write_bytes(path.read_bytes()[:-1])
        path = frames.path(altered.sha256)
        path.write_bytes(path.read_bytes()[:-1] + b"?")
        return {"missing": missing, "truncated": truncated, "altered": altered}

    async def story() -> None:
        async with Requester(device) as door, device.up() as supervisor:
            why: dict[str, str] = {}
            for new, shade, said in ((None, 0, ("fallback", "blind")), (without, 100, ("default", None))):
                if new is not None:
                    await door.publish(new)
                for reason, ref in spoilt(shade).items():
                    request_id = door.ask(frame=ref)
                    [result] = await door.answered(request_id)
                    assert chosen([result]) == {said}
                    outcome = next(outcome for outcome in result.models if outcome.model == "rules")
                    assert (outcome.status, outcome.reason) == ("declined", f"frame-{reason}")
                    why[request_id] = reason
            whole = await door.answered(door.ask(frame=frame(200)))
            assert chosen(whole) == {("preferred", "rules")}
            await door.until(lambda: len(door.receipts) == len(door.sent))
            door.assert_each_answered_once_in_time()
        with ArchiveReader(supervisor.settings.layout.archive("nest")) as archive:
            assert {item.request_id: item.frame_note for item in archive.inputs()} == {
                request_id: why.get(request_id) for request_id in door.sent
            }

    run(story(), timeout=60)


def test_two_tasks_on_one_device_share_no_stream_and_one_goes_on_when_the_other_hangs(run: Run, device: Device) -> None:
    """V13, with the same names and the same request ids in both; V11: one task is served by the rule-based model."""
    device.task(schedule((0, ["champion"]), task="nest"), champion=BUNDLES / "rules")
    device.task(schedule((0, ["champion"]), task="gate"), champion=ANSWERS)
    picture = (BUNDLES / "rules" / "goldens" / "blue_jay.jpg").read_bytes()
    ref = FrameStore(device.folder / "data" / "frames").put(picture, width=160, height=120)

    async def story() -> None:
        async with Requester(device, "nest") as nest, Requester(device, "gate") as gate, device.up() as supervisor:
            for _ in range(10):
                request_id = nest.ask(frame=ref)
                gate.ask(request_id=request_id)
                await nest.answered(request_id)  # one picture after the other: this model skips when it is behind
            labels = [
                {result.answer.label for result in await door.answered() if result.answer} for door in (nest, gate)
            ]
            assert labels == [{"blue_jay"}, {"here"}]
            assert chosen([*await nest.answered(), *await gate.answered()]) == {("preferred", "champion")}
            nest.assert_each_answered_once_in_time()
            for role in ("rendezvous-nest", "decoy-nest", "model-nest-champion", "injector-nest"):
                supervisor.kill(role, signal.SIGSTOP)
            held_up = nest.ask(frame=ref)
            assert chosen(await gate.answered(*gate.ask_many(10))) == {("preferred", "champion")}
            gate.assert_each_answered_once_in_time()
            assert not nest.results[held_up]
            for role in ("injector-nest", "model-nest-champion", "decoy-nest", "rendezvous-nest"):
                supervisor.kill(role, signal.SIGCONT)
            assert await nest.answered(held_up)
            for door in (nest, gate):
                await door.until(lambda door=door: door.receipts.keys() == door.sent.keys())  # type: ignore[misc]
        for door in (nest, gate):
            with ArchiveReader(supervisor.settings.layout.archive(door.task)) as archive:
                assert {item.request_id: item.payload for item in archive.inputs()} == door.inputs

    run(story(), timeout=60)


def played(*arguments: str | Path) -> dict[str, Any]:
    """Run the demo to its end; its summary, once its status said that every promise was kept."""
    command = [sys.executable, "-m", "roost_edge.demo", "--json", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    assert summary["requests"] == summary["within_sla"] == summary["archived"]
    return summary


@pytest.mark.parametrize("fault", ["hang", "slow:5000", "wrong"])
def test_the_demo_with_its_champion_at_fault_answers_in_time_by_fallback(tmp_path: Path, fault: str) -> None:
    for label in ("blue_jay", "open_door"):
        shutil.copy(BUNDLES / "rules" / "goldens" / f"{label}.jpg", tmp_path)
    summary = played("--source", tmp_path, "--fault", f"champion={fault}")
    assert (summary["requests"], summary["by_cause"]) == (2, {"fallback": 2})


def test_the_demo_runs_on_photographs(tmp_path: Path, shared_data: Path) -> None:
    for photograph in sorted((shared_data / "henhouse-cc0" / "images").iterdir())[:2]:
        shutil.copy(photograph, tmp_path)
    assert played("--source", tmp_path)["requests"] == 2
