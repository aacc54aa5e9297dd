"""What the rendezvous costs (promise V20): added latency and throughput against a bare MQTT echo of the same run,
memory of every role, and whether many open mailboxes slow it down.

The echo is requester → broker → echo process → broker → requester. The rendezvous is requester → broker → model
process (answers at once) → broker → rendezvous process → broker → requester: one hop through the broker more, two
messages read, one decided, journalled and built. All of that is counted as added. Both run in the same minutes, in
alternating blocks, with the same client and a requester that reads no more of an answer than the request id.
"""

import asyncio
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench_roles import CLOCK, ECHO, NODE, REQUESTER, SCHEDULE, TOPICS
from report import Outcome, Say, at_most, percentile, pss_mb

from roost_broker.bus import Delivery
from roost_broker.clock import MS, boot_id
from roost_broker.ids import new_id
from roost_broker.messages import FrameRef, Input, Issued, Request, encode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.topics import TaskTopics
from roost_rendezvous import schedule
from roost_rendezvous.mailbox.core import Rendezvous
from roost_rendezvous.mailbox.events import RequestArrived, ScoreArrived
from roost_rendezvous.mailbox.policy import MailboxPolicy

_HERE = Path(__file__).parent
_REPOSITORY = _HERE.parents[1]
_REQUEST_ID = re.compile(rb'"requestId":"([0-9a-f]{32})"')
_RATE = 100
_IN_FLIGHT = 16


def run(quick: bool, say: Say) -> Outcome:
    """See the module."""
    outcome = Outcome()
    with tempfile.TemporaryDirectory(prefix="roost-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        say("Starting a private Mosquitto and the roles …")
        broker = stack.enter_context(PrivateBroker(folder / "mosquitto"))
        pids = {
            role: stack.enter_context(_process(role, broker.port, folder))
            for role in ("echo", "model", "rendezvous", "injector")
        }
        asyncio.run(_measure(outcome, broker, pids, quick, say))
    say("Measuring the core with 100 and with 100,000 open mailboxes …")
    _core(outcome, 3_000 if quick else 20_000)
    _roles(outcome, 14 if quick else 40, say)
    _judge(outcome)
    return outcome


@contextmanager
def _process(role: str, port: int, folder: Path) -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, str(_HERE / "bench_roles.py"), role, str(port), str(folder)], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], 20)
        if not ready or not process.stdout.readline():
            raise RuntimeError(f"The process {role} did not connect.")
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


class Requester:
    """Publishes requests on one task's input and times the answers on its return address."""

    def __init__(self, bus: MqttBus, topics: TaskTopics) -> None:
        self._bus, self._topics = bus, topics
        self._sent: dict[bytes, float] = {}
        self._arrived_ms: list[float] = []
        self._seq = 0
        self._news = asyncio.Event()
        bus.subscribe(topics.results(REQUESTER), self._arrived)

    def _arrived(self, delivery: Delivery) -> None:
        now = time.perf_counter()
        found = _REQUEST_ID.search(delivery.payload)
        sent = self._sent.pop(found[1], None) if found else None
        if sent is not None:
            self._arrived_ms.append((now - sent) * 1000)
            self._news.set()
        delivery.ack()

    def _ask(self) -> None:
        wall = CLOCK.wall_ns()
        self._seq += 1
        request = Request(
            timestamp=wall // MS,
            message_id=new_id(wall),
            request_id=new_id(wall),
            return_address=self._topics.results(REQUESTER),
            deadline_ms=2000,
            issued=Issued(boot=boot_id(), seq=self._seq, monotonic_ns=CLOCK.monotonic_ns()),
            tags={"camera": REQUESTER},
            input=Input(frame=FrameRef(sha256="0" * 64, bytes=48_211, path="frames/00/0.jpg", width=640, height=480)),
        )
        payload = encode(request)
        self._sent[request.request_id.encode()] = time.perf_counter()
        self._bus.publish(self._topics.input, payload)

    async def open_loop(self, rate: int, seconds: float) -> list[float]:
        """Latencies in ms at a fixed rate, which no late answer slows down. Each counts from its own publication: the
        event loop's timer is up to 1 ms late, and that is neither the echo's nor the rendezvous' doing.
        """
        self._arrived_ms = []
        began = time.perf_counter() + 0.05
        for number in range(int(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self._ask()
        await self._all_back()
        return self._arrived_ms

    async def closed_loop(self, in_flight: int, seconds: float) -> float:
        """Requests per second with so many on their way at any moment."""
        self._arrived_ms = []
        began = time.perf_counter()
        while time.perf_counter() < began + seconds:
            while len(self._sent) < in_flight:
                self._ask()
            self._news.clear()
            await self._news.wait()
        done, took = len(self._arrived_ms), time.perf_counter() - began
        await self._all_back()
        return done / took

    async def _all_back(self) -> None:
        async with asyncio.timeout(10):
            while self._sent:
                self._news.clear()
                await self._news.wait()


async def _measure(outcome: Outcome, broker: PrivateBroker, pids: dict[str, int], quick: bool, say: Say) -> None:
    bus = MqttBus(broker.settings(), "bench-requester")
    ways = {"echo": Requester(bus, ECHO), "rendezvous": Requester(bus, TOPICS)}
    await bus.start()
    try:
        for requester in ways.values():
            await requester.closed_loop(4, 0.7)  # warm: imports, caches, the branch predictor
        latencies: dict[str, list[float]] = {"echo": [], "rendezvous": []}
        added: list[dict[str, float]] = []
        blocks, seconds = (4, 1.5) if quick else (10, 3.0)
        for block in range(blocks):
            say(f"Latency at {_RATE} requests/s, block {block + 1} of {blocks} …")
            these = {name: await requester.open_loop(_RATE, seconds) for name, requester in ways.items()}
            added.append({f"p{share}": _added(these, share) for share in (50, 99)})
            for name, values in these.items():
                latencies[name] += values
        after_latency = {role: pss_mb(pid) for role, pid in pids.items()}
        rates: dict[str, list[float]] = {"echo": [], "rendezvous": []}
        for block in range(2 if quick else 5):
            say(f"Throughput with {_IN_FLIGHT} in flight, block {block + 1} …")
            for name, requester in ways.items():
                rates[name].append(await requester.closed_loop(_IN_FLIGHT, 1.5 if quick else 3.0))
        after_load = {role: pss_mb(pid) for role, pid in pids.items()}
    finally:
        await bus.stop()
    outcome.data["latency_ms"] = {
        "rate_per_s": _RATE,
        "added_by_block": added,  # how far apart these lie is the machine's noise
        **{
            name: {
                "samples": len(values),
                "p50": round(percentile(values, 0.5), 3),
                "p90": round(percentile(values, 0.9), 3),
                "p99": round(percentile(values, 0.99), 3),
            }
            for name, values in latencies.items()
        },
    }
    best = {name: round(max(values), 1) for name, values in rates.items()}
    outcome.data["throughput_per_s"] = {
        "in_flight": _IN_FLIGHT,
        "blocks": {name: [round(rate, 1) for rate in values] for name, values in rates.items()},
        **best,
        "ratio": round(best["rendezvous"] / best["echo"], 3),
    }
    outcome.data["bench_process_pss_mb"] = {"after_latency": after_latency, "after_saturation": after_load}


def _added(latencies: dict[str, list[float]], share: int) -> float:
    bare, whole = (percentile(latencies[name], share / 100) for name in ("echo", "rendezvous"))
    return round(whole - bare, 3)


def _core(outcome: Outcome, events: int) -> None:
    """Cost of one request with two scores in the core alone, best of three, with few and with many others open."""
    agreed = schedule.parse(SCHEDULE)
    cost: dict[int, float] = {}
    for others in (100, 100_000, 100, 100_000, 100, 100_000):
        core = Rendezvous(agreed, MailboxPolicy(max_open=300_000, grace_ns=10 * MS))
        for number in range(others):
            core.handle(RequestArrived(message_id="m", request_id=f"o{number}", opened_ns=0, deadline_ms=2000), 0)
        began = time.perf_counter()
        for number in range(events):
            now, request_id = number * 10_000, f"r{number}"
            core.handle(RequestArrived(message_id="m", request_id=request_id, opened_ns=now, deadline_ms=2000), now)
            core.deadline()
            for model in ("fast", "champion"):
                core.handle(ScoreArrived(message_id="m", request_id=request_id, model=model), now)
                core.deadline()
        took = (time.perf_counter() - began) / events * 1e6
        cost[others] = min(took, cost.get(others, took))
    outcome.data["core_us_per_request"] = {
        "open_100": round(cost[100], 2),
        "open_100000": round(cost[100_000], 2),
        "ratio": round(cost[100_000] / cost[100], 3),
    }


def _roles(outcome: Outcome, seconds: int, say: Say) -> None:
    """Memory of every role of a henhouse with all committed models, as `roost_edge.daemon` runs them."""
    bundles = sorted((_REPOSITORY / "models" / "henhouse" / "bundles").glob("*/manifest.json"))
    try:
        from roost_edge.processes.plan import plan
        from roost_edge.settings import loading as device_settings
    except ImportError as error:
        outcome.data["roles"] = {"not_measured": f"the edge package cannot be imported: {error}"}
        return
    with tempfile.TemporaryDirectory(prefix="roost-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        broker = stack.enter_context(PrivateBroker(folder / "mosquitto"))
        path = _device_file(folder, broker.port, bundles)
        try:
            roles = plan(device_settings.load(path))
        except Exception as error:  # noqa: BLE001 - a benchmark reports what it could not measure
            outcome.data["roles"] = {"not_measured": f"the settings were refused: {error}"}
            return
        say(f"Running {len(roles)} roles of a henhouse for {seconds} s to measure their memory …")
        running = {role.name: stack.enter_context(_daemon(role.arguments(), path, folder)) for role in roles}
        time.sleep(seconds)
        memory = {name: pss_mb(pid) if _alive(pid) else None for name, pid in running.items()}
    complete = all(value is not None for value in memory.values())
    outcome.data["roles"] = {
        "pss_mb": memory,
        "total_mb": round(sum(value or 0 for value in memory.values()), 1) if complete else None,
        "measured_after_s": seconds,
    }


def _device_file(folder: Path, port: int, bundles: list[Path]) -> Path:
    text = [f'[node]\nname = "{NODE}"\n[broker]\nport = {port}\n[tasks.henhouse]']
    text.append(f'schedule = "{_REPOSITORY / "models" / "henhouse" / "schedule.toml"}"')
    text += [f'[tasks.henhouse.models.{m.parent.name}]\nbundle = "{m.parent}"' for m in bundles]
    text.append('[cameras.nest]\ntask = "henhouse"\nsource = "synthetic"\nwidth = 640\nheight = 480\nfps = 10.0')
    if (_REPOSITORY / "models" / "henhouse" / "roost_henhouse" / "scene.py").exists():
        text.append('scene = "roost_henhouse.scene:HenhouseScene"')
    path = folder / "roost.toml"
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return path


@contextmanager
def _daemon(arguments: tuple[str, ...], path: Path, folder: Path) -> Iterator[int]:
    command = [sys.executable, "-m", "roost_edge.daemon", *arguments, "--settings", str(path)]
    with (folder / f"{'-'.join(arguments).replace('--', '')}.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _alive(pid: int) -> bool:
    done, _ = os.waitpid(pid, os.WNOHANG)
    return done == 0


def _judge(outcome: Outcome) -> None:
    latency, rate = outcome.data["latency_ms"], outcome.data["throughput_per_s"]
    added = {}
    for share in ("p50", "p99"):
        bare, whole = latency["echo"][share], latency["rendezvous"][share]
        added[share] = round(whole - bare, 3)
        added[f"{share}_ratio"] = round(whole / bare, 2)
    latency["added"] = added
    memory = outcome.data["bench_process_pss_mb"]
    core = outcome.data["core_us_per_request"]
    outcome.goals = [
        at_most("V20-p50", "added to the bare echo, p50, at most 1 ms", "ms", added["p50"], 1),
        at_most("V20-p99", "added to the bare echo, p99, at most 3 ms", "ms", added["p99"], 3),
        at_most(
            "V20-memory",
            "PSS of the rendezvous at 100/s at most 30 MB",
            "MB",
            memory["after_latency"]["rendezvous"],
            30,
        ),
        at_most("V20-open", "cost with 100,000 open at most 1.5 × that with 100", "×", core["ratio"], 1.5),
    ]
    outcome.lines = [
        f"latency in ms at {latency['rate_per_s']}/s        p50      p90      p99   samples",
        *(
            f"  {name:<28} {latency[name]['p50']:>8.3f} {latency[name]['p90']:>8.3f} {latency[name]['p99']:>8.3f} "
            f"{latency[name]['samples']:>8}"
            for name in ("echo", "rendezvous")
        ),
        f"  {'added':<28} {added['p50']:>8.3f} {'':>8} {added['p99']:>8.3f}",
        f"  {'ratio':<28} {added['p50_ratio']:>8.2f} {'':>8} {added['p99_ratio']:>8.2f}",
        f"requests/s with {rate['in_flight']} in flight: echo {rate['echo']}, rendezvous {rate['rendezvous']} "
        f"(ratio {rate['ratio']})",
        f"core alone: {core['open_100']} us a request with 100 open, {core['open_100000']} us with 100,000",
        "memory (PSS, MB), benchmark's own processes at 100/s and after saturation:",
        *(
            f"  {role:<28} {memory['after_latency'][role]!s:>8} {memory['after_saturation'][role]!s:>8}"
            for role in memory["after_latency"]
        ),
        *_role_lines(outcome.data["roles"]),
    ]


def _role_lines(roles: dict[str, Any]) -> list[str]:
    if "not_measured" in roles:
        return [f"memory of a whole device: not measured ({roles['not_measured']})"]
    lines = [f"memory (PSS, MB) of a whole device after {roles['measured_after_s']} s:"]
    lines += [f"  {name:<28} {'not running' if mb is None else mb:>8}" for name, mb in roles["pss_mb"].items()]
    if roles["total_mb"] is not None:
        lines.append(f"  {'all roles':<28} {roles['total_mb']:>8}")
    return lines
