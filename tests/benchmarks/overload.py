"""Overload (promises V15, X1, V14, V6): a champion that bears C requests/s is offered 2 C, beside a fast model of 10 C.

The book's 1,000, 2,000 and 10,000/s are scaled to this machine, the ratios kept. All processes are the real roles on
a real Mosquitto. A model's cost is waiting (it sleeps), so that two cores can play more machines than they are; the
scaffold's own work is real and counted. C is measured in the same run, with the fast model beside it. The requester
judges on its own clock: from just before it publishes a request until its result has arrived.

The same load then meets a champion that queues everything, to show what skipping is for. Two more sections: what a
second replica adds, and whether a model's first answer is as quick as its hundredth.
"""

import asyncio
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from bench_overload_roles import CLOCK, REQUESTER, TOPICS
from report import Outcome, Say, at_least, at_most, percentile

from roost_broker.bus import Delivery
from roost_broker.clock import MS, boot_id
from roost_broker.ids import new_id
from roost_broker.messages import Input, Issued, ModelState, Request, Result, Score, decode, encode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_models.bundle.writing import write_bundle

_HERE = Path(__file__).parent
_CHAMPION_MS = 20.0
_FAST_SHARE = 10
"""The fast model bears so many times what the champion bears."""
_SLA_MS = 1000
_MODEL = """
import time

def predict(image, context):
    time.sleep({seconds!r})
    return {{"hen": 1.0}}
"""
_QUEUES_ALL = {"strategy": "skip", "max_waiting": 10_000}
_SKIPS = {"strategy": "skip", "max_waiting": 1}


def run(quick: bool, say: Say) -> Outcome:
    """See the module."""
    outcome = Outcome()
    mix(outcome, quick, say)
    say("Measuring what a second replica adds …")
    outcome.data["replicas"] = _replicas(2.5 if quick else 10.0)
    say("Measuring first answers …")
    outcome.data["first_answer"] = _first_answers(2 if quick else 10)
    _judge(outcome)
    return outcome


def mix(outcome: Outcome, quick: bool, say: Say) -> None:
    """The overload alone: what the champion bears, then twice as much for one that skips and one that queues."""
    seconds = 5.0 if quick else 25.0
    say("Measuring what a champion bears alone …")
    capacity, service_ms = _capacity(2.5 if quick else 8.0)
    fast_ms = _fast_cost(capacity)
    fast_per_s = _fast_bears(fast_ms, 15 * capacity, 2.0)
    outcome.data["scale"] = {
        "champion_per_s": round(capacity, 1),
        "champion_service_ms": round(service_ms, 2),
        "offered_per_s": round(2 * capacity, 1),
        "fast_sleeps_ms": round(fast_ms, 2),
        "fast_per_s": round(fast_per_s, 1),
        "sla_ms": _SLA_MS,
        "seconds": seconds,
    }
    for name, queue in (("skips", _SKIPS), ("queues_everything", _QUEUES_ALL)):
        say(f"Twice the load, and a champion that {name.replace('_', ' ')} …")
        outcome.data[name] = _overload(queue, fast_ms, 2 * capacity, seconds, service_ms)


# -- processes --------------------------------------------------------------------------------------------------------


def _bundle(folder: Path, name: str, sleeps_ms: float, queue: dict[str, object]) -> Path:
    manifest = {
        "name": name,
        "version": "1",
        "task": "burst",
        "engine": "python",
        "entry": "model.py",
        "labels": ["hen"],
        "licence": "Apache-2.0",
        "queue": queue,
        "goldens": [{"outputs": [{"label": "hen", "score": 1.0}]}],
    }
    source = _MODEL.format(seconds=sleeps_ms / 1000)
    return write_bundle(folder / name, manifest, {"model.py": source.encode()}).root


@contextmanager
def _role(*arguments: str) -> Iterator[int]:
    """A process of `bench_overload_roles`, from when it is ready."""
    process = subprocess.Popen(
        [sys.executable, str(_HERE / "bench_overload_roles.py"), *arguments], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], 20)
        if not ready or not process.stdout.readline():
            raise RuntimeError(f"The process {' '.join(arguments)} did not become ready.")
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


class Requester:
    """Asks at a fixed rate that no late answer slows down, and writes down when which result came."""

    def __init__(self, broker: PrivateBroker) -> None:
        self.bus = MqttBus(broker.settings(), "bench-requester")
        self.sent: dict[str, int] = {}
        self.took_ms: dict[str, float] = {}
        self.results: dict[str, Result] = {}
        self.counts: dict[str, int] = {}
        self.bus.subscribe(TOPICS.results(REQUESTER), self._on_result)
        self.bus.subscribe(TOPICS.all_model_states, self._on_state)

    def ask(self) -> str:
        """Publish one request now."""
        wall, now = CLOCK.wall_ns(), CLOCK.monotonic_ns()
        request = Request(
            timestamp=wall // MS,
            message_id=new_id(wall),
            request_id=new_id(wall),
            return_address=TOPICS.results(REQUESTER),
            deadline_ms=_SLA_MS,
            issued=Issued(boot=boot_id(), seq=len(self.sent), monotonic_ns=now),
            input=Input(values={}),
        )
        self.sent[request.request_id] = now
        self.bus.publish(TOPICS.input, encode(request))
        return request.request_id

    async def offer(self, rate: float, seconds: float) -> None:
        """An even stream; then time for the last answers."""
        began = time.perf_counter()
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
            self.ask()
        await asyncio.sleep(_SLA_MS / 1000 + 0.2)

    def _since_ms(self, request_id: str) -> float | None:
        sent = self.sent.get(request_id)
        return None if sent is None else (CLOCK.monotonic_ns() - sent) / MS

    def _on_result(self, delivery: Delivery) -> None:
        result = decode(delivery.payload)
        delivery.ack()
        if isinstance(result, Result) and (took := self._since_ms(result.request_id)) is not None:
            self.took_ms.setdefault(result.request_id, took)
            self.results.setdefault(result.request_id, result)

    def _on_state(self, delivery: Delivery) -> None:
        state = decode(delivery.payload)
        delivery.ack()
        if isinstance(state, ModelState) and state.model == "champion":
            self.counts = state.counts


@contextmanager
def _place() -> Iterator[tuple[Path, PrivateBroker, ExitStack]]:
    with tempfile.TemporaryDirectory(prefix="roost-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        yield folder, stack.enter_context(PrivateBroker(folder / "mosquitto")), stack


# -- the sections -----------------------------------------------------------------------------------------------------


def _capacity(seconds: float) -> tuple[float, float]:
    """What the champion answers per second when it is never without work, and the time of one answer in ms."""
    with _place() as (folder, broker, stack):
        bundle = _bundle(folder, "champion", _CHAMPION_MS, _SKIPS)
        fast = _bundle(folder, "fast", _CHAMPION_MS / _FAST_SHARE, _SKIPS)
        for name, path in (("champion", bundle), ("fast", fast)):
            stack.enter_context(_role("model", str(broker.port), str(folder), name, str(path)))
        answered = asyncio.run(_answered(broker, 2_000 / _CHAMPION_MS, seconds))
    rate = len([score for score in answered if score.model == "champion"]) / seconds
    return rate, 1000 / rate


async def _answered(broker: PrivateBroker, rate: float, seconds: float) -> list[Score]:
    requester = Requester(broker)
    scores: list[Score] = []
    listener = MqttBus(broker.settings(), "bench-listener")
    listener.subscribe(TOPICS.all_scores, lambda delivery: _keep(delivery, scores))
    await listener.start()
    await requester.bus.start()
    try:
        await requester.offer(rate, seconds)
    finally:
        await requester.bus.stop()
        await listener.stop()
    return scores


def _keep(delivery: Delivery, scores: list[Score]) -> None:
    score = decode(delivery.payload)
    delivery.ack()
    if isinstance(score, Score):
        scores.append(score)


def _fast_cost(capacity: float) -> float:
    """The fast model's sleep in ms: what makes one answer of it a tenth of the champion's, overhead included."""
    overhead_ms = 1000 / capacity - _CHAMPION_MS
    return max(0.1, 1000 / (_FAST_SHARE * capacity) - overhead_ms)


def _fast_bears(fast_ms: float, rate: float, seconds: float) -> float:
    """What the fast model answers per second when it is offered more than it should bear."""
    with _place() as (folder, broker, stack):
        bundle = _bundle(folder, "fast", fast_ms, _SKIPS)
        stack.enter_context(_role("model", str(broker.port), str(folder), "fast", str(bundle)))
        return len(asyncio.run(_answered(broker, rate, seconds))) / seconds


def _overload(
    queue: dict[str, object], fast_ms: float, rate: float, seconds: float, service_ms: float
) -> dict[str, Any]:
    with _place() as (folder, broker, stack):
        port, name = str(broker.port), str(folder)
        stack.enter_context(_role("rendezvous", port, name, str(_SLA_MS)))
        champion = _bundle(folder, "champion", _CHAMPION_MS, queue)
        fast = _bundle(folder, "fast", fast_ms, {"strategy": "skip", "max_waiting": 64})
        stack.enter_context(_role("model", port, name, "champion", str(champion)))
        stack.enter_context(_role("model", port, name, "fast", str(fast)))
        requester = asyncio.run(_asked(broker, rate, seconds))
    return _found(requester, service_ms)


async def _asked(broker: PrivateBroker, rate: float, seconds: float) -> Requester:
    requester = Requester(broker)
    await requester.bus.start()
    try:
        await asyncio.sleep(0.3)  # the rendezvous hears that both are ready
        await requester.offer(rate, seconds)
    finally:
        await requester.bus.stop()
    return requester


def _found(requester: Requester, service_ms: float) -> dict[str, Any]:
    asked = len(requester.sent)
    said = {name: result.answer.model if result.answer else "default" for name, result in requester.results.items()}
    by = Counter(said.values())
    times = list(requester.took_ms.values())
    champions = [requester.took_ms[name] for name, model in said.items() if model == "champion"]
    late = asked - sum(took <= _SLA_MS for took in times)
    return {
        "asked": asked,
        "within_sla": round(1 - late / asked, 4),
        "unanswered": asked - len(times),
        "champion_share": round(by["champion"] / asked, 4),
        "fast_share": round(by["fast"] / asked, 4),
        "defaults": by["default"],
        "p50_ms": round(percentile(times, 0.5), 1),
        "p99_ms": round(percentile(times, 0.99), 1),
        "max_ms": round(max(times), 1),
        "champion_age_in_service_times": {
            "p50": round(percentile(champions, 0.5) / service_ms, 2),
            "p99": round(percentile(champions, 0.99) / service_ms, 2),
        }
        if champions
        else None,
        "champion_counts": {
            name: count for name, count in sorted(requester.counts.items()) if not name.endswith("_us")
        },
    }


def _replicas(seconds: float) -> dict[str, Any]:
    """Answers per second of one and of two processes of a model whose cost is waiting, each offered all it can take."""
    found: dict[str, Any] = {}
    for count in (1, 2):
        with _place() as (folder, broker, stack):
            bundle = _bundle(folder, "champion", _CHAMPION_MS, _SKIPS)
            for number in range(1, count + 1):
                which = (str(number), str(count)) if count > 1 else ("0", "1")
                stack.enter_context(_role("model", str(broker.port), str(folder), "champion", str(bundle), *which))
            scores = asyncio.run(_answered(broker, 4_000 / _CHAMPION_MS, seconds))
        found[f"of_{count}_per_s"] = round(len({score.request_id for score in scores}) / seconds, 1)
        found[f"doubled_of_{count}"] = len(scores) - len({score.request_id for score in scores})
    found["ratio"] = round(found["of_2_per_s"] / found["of_1_per_s"], 2)
    return found


def _first_answers(starts: int) -> dict[str, Any]:
    """Compute times in ms of a model's first and hundredth answers after each of so many starts; `cold` is the first
    answer of one that nobody warmed.
    """
    henhouse = _HERE.parents[1] / "models" / "henhouse" / "bundles"
    found: dict[str, Any] = {}
    for name in ("champion", "rules"):
        if not (henhouse / name / "manifest.json").is_file():
            continue
        done = subprocess.run(
            [sys.executable, str(_HERE / "bench_first_answer.py"), str(henhouse / name), str(starts)],
            capture_output=True,
            text=True,
            check=True,
        )
        cold, first, later = zip(*(map(float, line.split()) for line in done.stdout.splitlines()), strict=True)
        found[name] = {
            "cold_ms": round(median(cold), 3),
            "first_ms": round(median(first), 3),
            "hundredth_ms": round(median(later), 3),
            "starts": starts,
        }
    return found


# -- the verdict ------------------------------------------------------------------------------------------------------


def _judge(outcome: Outcome) -> None:
    scale, skips, queues = (outcome.data[name] for name in ("scale", "skips", "queues_everything"))
    replicas, first = outcome.data["replicas"], outcome.data["first_answer"]
    age = skips["champion_age_in_service_times"]
    later = {name: round(found["first_ms"] - found["hundredth_ms"], 3) for name, found in first.items()}
    outcome.goals = [
        at_least("X1-sla", "answered within the SLA, judged by the requester", "%", 100 * skips["within_sla"], 100),
        at_least("X1-champion", "answered by the champion, at least 45 %", "%", 100 * skips["champion_share"], 45),
        at_most("X1-default", "defaults", "", skips["defaults"], 0),
        at_most(
            "X1-age",
            "age of its answers, p99, in service times: 2, and the way there and back,",
            "×",
            age and age["p99"],
            2.5,
        ),
        at_least("V14", "two replicas answer at least 1.8 × as many as one", "×", replicas["ratio"], 1.8),
        *(
            at_most(f"V6-{name}", f"first answer of {name} later than its hundredth by at most 1 ms", "ms", by_ms, 1.0)
            for name, by_ms in later.items()
        ),
    ]
    outcome.lines = [
        f"champion {scale['champion_per_s']}/s, offered {scale['offered_per_s']}/s, "
        f"fast {scale['fast_per_s']}/s, SLA {scale['sla_ms']} ms, {scale['seconds']:g} s",
        "",
        f"{'champion':<20}{'in SLA':>9}{'champion':>10}{'fast':>8}{'default':>9}"
        f"{'p50 ms':>9}{'p99 ms':>9}{'age p50':>9}",
        *(_line(name, found) for name, found in (("skips", skips), ("queues everything", queues))),
        "",
        f"replicas: one answers {replicas['of_1_per_s']}/s, two {replicas['of_2_per_s']}/s ({replicas['ratio']} ×)",
        *(
            f"first answer of {name}: {found['first_ms']} ms, hundredth {found['hundredth_ms']} ms, "
            f"first without warming {found['cold_ms']} ms"
            for name, found in first.items()
        ),
    ]


def _line(name: str, found: dict[str, Any]) -> str:
    age = found["champion_age_in_service_times"]
    return (
        f"{name:<20}{100 * found['within_sla']:>8.2f}%{100 * found['champion_share']:>9.1f}%"
        f"{100 * found['fast_share']:>7.1f}%{found['defaults']:>9}{found['p50_ms']:>9}{found['p99_ms']:>9}"
        f"{'-' if age is None else age['p50']!s:>9}"
    )
