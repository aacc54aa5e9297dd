"""What the rendezvous costs (promises V20 and X8): added latency and throughput against a bare MQTT echo and against
the ceiling of the client library, all of the same run; memory of every role; whether many open mailboxes slow it down.

echo        requester → broker → echo process → broker → requester
rendezvous  requester → broker → model process (answers at once) → broker → rendezvous → broker → requester: one hop
            through the broker more, two messages read, one decided, journalled and built; all of it counts as added
ceiling     the way of the rendezvous with a process in its place that only moves the bytes (`joiner` of `bench_roles`)

All run in the same minutes, in alternating blocks, with the same client and a requester that reads no more of an answer
than the request id.
"""

import asyncio
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench_device import measure_roles, role_lines
from bench_processes import cpu_s, role_process
from bench_requester import Requester
from bench_roles import ECHO, JOIN, RESULT_BYTES, ROLES, SCHEDULE, TOPICS
from report import Goal, Outcome, Say, at_least, at_most, percentile, pss_mb

from roost_broker.clock import MS
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_rendezvous import schedule
from roost_rendezvous.mailbox.core import Rendezvous
from roost_rendezvous.mailbox.events import RequestArrived, ScoreArrived
from roost_rendezvous.mailbox.policy import MailboxPolicy

_RATES = (10, 100, 1000)
_GOAL_RATE = 100
_IN_FLIGHT = 16
_SHARES = (50, 90, 99)
_WAYS = ("echo", "ceiling", "rendezvous")
_TAKES_PART = {
    "echo": ("echo", "mosquitto"),
    "ceiling": ("joiner", "other-model", "mosquitto"),
    "rendezvous": ("rendezvous", "model", "mosquitto"),
}


def run(quick: bool, say: Say) -> Outcome:
    """See the module."""
    outcome = Outcome()
    with tempfile.TemporaryDirectory(prefix="roost-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        say("Starting a private Mosquitto and the roles …")
        broker = stack.enter_context(PrivateBroker(folder / "mosquitto"))
        pids = {role: stack.enter_context(role_process(role, broker.port, folder)) for role in ROLES}
        asyncio.run(_measure(outcome, broker, pids, quick, say))
    say("Measuring the core with 100 and with 100,000 open mailboxes …")
    _core(outcome, 3_000 if quick else 20_000)
    measure_roles(outcome, 12 if quick else 40, say)
    _judge(outcome)
    return outcome


async def _measure(outcome: Outcome, broker: PrivateBroker, pids: dict[str, int], quick: bool, say: Say) -> None:
    bus = MqttBus(broker.settings(), "bench-requester")
    ways = {way: Requester(bus, topics) for way, topics in zip(_WAYS, (ECHO, JOIN, TOPICS), strict=True)}
    await bus.start()
    try:
        for requester in ways.values():
            await requester.closed_loop(4, 0.7)  # warm: imports, caches, the branch predictor
        await _latency(outcome, ways, quick, say)
        after_latency = {role: pss_mb(pid) for role, pid in pids.items()}
        await _saturation(outcome, ways, {**pids, "mosquitto": broker.pid}, quick, say)
        after_load = {role: pss_mb(pid) for role, pid in pids.items()}
    finally:
        await bus.stop()
    outcome.data["answer_bytes"] = {way: requester.answer_bytes for way, requester in ways.items()}
    outcome.data["bench_process_pss_mb"] = {"after_latency": after_latency, "after_saturation": after_load}


async def _latency(outcome: Outcome, ways: dict[str, Requester], quick: bool, say: Say) -> None:
    found: dict[str, Any] = {}
    for rate in _RATES:
        blocks, seconds = (2, 2.0) if quick else (10 if rate == _GOAL_RATE else 5, 3.0 if rate > 10 else 10.0)
        latencies: dict[str, list[float]] = {way: [] for way in ways}
        by_block = []
        for block in range(blocks):
            say(f"Latency at {rate} requests/s, block {block + 1} of {blocks} …")
            these = {way: await requester.open_loop(rate, seconds) for way, requester in ways.items()}
            by_block.append(_added({way: _percentiles(values) for way, values in these.items()}))
            for way, values in these.items():
                latencies[way] += values
        figures = {way: _percentiles(values) for way, values in latencies.items()}
        found[str(rate)] = {
            **figures,
            "samples": len(latencies["echo"]),
            "added": _added(figures),
            "added_by_block": by_block,  # how far apart these lie is the machine's noise
        }
    outcome.data["latency_ms"] = found


async def _saturation(
    outcome: Outcome, ways: dict[str, Requester], pids: dict[str, int], quick: bool, say: Say
) -> None:
    rates: dict[str, list[float]] = {way: [] for way in ways}
    latencies: dict[str, list[float]] = {way: [] for way in ways}
    used = {way: dict.fromkeys(pids, 0.0) for way in ways}
    for block in range(2 if quick else 7):
        say(f"Throughput with {_IN_FLIGHT} in flight, block {block + 1} …")
        for way, requester in ways.items():
            before = {role: cpu_s(pid) for role, pid in pids.items()}
            rate, these = await requester.closed_loop(_IN_FLIGHT, 1.5 if quick else 3.0)
            for role, pid in pids.items():
                used[way][role] += cpu_s(pid) - before[role]
            rates[way].append(rate)
            latencies[way] += these
    best = {way: max(values) for way, values in rates.items()}
    outcome.data["throughput_per_s"] = {
        "in_flight": _IN_FLIGHT,
        "blocks": {way: [round(rate, 1) for rate in values] for way, values in rates.items()},
        **{way: round(rate, 1) for way, rate in best.items()},
        "ratio_to_echo": round(best["rendezvous"] / best["echo"], 3),
        "ratio_to_ceiling": round(best["rendezvous"] / best["ceiling"], 3),
        "latency_ms": {way: _percentiles(values) for way, values in latencies.items()},
        "cpu_us_per_request": {
            way: {
                role: round(s / len(latencies[way]) * 1e6, 1)
                for role, s in roles.items()
                if s > 0.1 * max(roles.values())
            }
            for way, roles in used.items()
        },
    }


def _percentiles(values: list[float]) -> dict[str, float]:
    return {f"p{share}": round(percentile(values, share / 100), 3) for share in _SHARES}


def _added(figures: dict[str, dict[str, float]]) -> dict[str, float]:
    bare, whole = figures["echo"], figures["rendezvous"]
    return {share: round(whole[share] - bare[share], 3) for share in whole}


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


def _judge(outcome: Outcome) -> None:
    data = outcome.data
    added, rate = data["latency_ms"][str(_GOAL_RATE)]["added"], data["throughput_per_s"]
    memory, core = data["bench_process_pss_mb"], data["core_us_per_request"]
    outcome.goals = _goals(added, rate, memory["after_latency"]["rendezvous"], core["ratio"])
    outcome.lines = [
        *_latency_lines(data["latency_ms"]),
        *_throughput_lines(rate, data["answer_bytes"]),
        f"core alone: {core['open_100']} us a request with 100 open, {core['open_100000']} us with 100,000",
        "memory (PSS, MB), benchmark's own processes after the latencies and after saturation:",
        *(
            f"  {role:<28} {memory['after_latency'][role]!s:>8} {memory['after_saturation'][role]!s:>8}"
            for role in memory["after_latency"]
        ),
        *role_lines(data["roles"]),
    ]


def _goals(added: dict[str, float], rate: dict[str, Any], memory: float | None, open_ratio: float) -> list[Goal]:
    ratio = rate["ratio_to_ceiling"]
    return [
        at_most("V20-p50", "added to the bare echo, p50, at most 1 ms", "ms", added["p50"], 1),
        at_most("V20-p99", "added to the bare echo, p99, at most 3 ms", "ms", added["p99"], 3),
        at_least("V20-rate", "requests/s at least 0.6 of the client library's ceiling", "×", ratio, 0.6),
        at_most("V20-memory", "PSS of the rendezvous after the latencies at most 30 MB", "MB", memory, 30),
        at_most("V20-open", "cost with 100,000 open at most 1.5 × that with 100", "×", open_ratio, 1.5),
    ]


def _latency_lines(latency: dict[str, Any]) -> list[str]:
    lines = []
    for rate, figures in latency.items():
        lines.append(f"{f'latency in ms at {rate}/s':<30} " + " ".join(f"{f'p{share}':>8}" for share in _SHARES))
        for name in (*_WAYS, "added"):
            lines.append(f"  {name:<28} " + " ".join(f"{value:>8.3f}" for value in figures[name].values()))
    return lines


def _throughput_lines(rate: dict[str, Any], answer_bytes: dict[str, int]) -> list[str]:
    lines = [f"with {rate['in_flight']} in flight         requests/s      p50      p99   answer   CPU us a request"]
    for way in _WAYS:
        latency, used = rate["latency_ms"][way], rate["cpu_us_per_request"][way]
        shown = ", ".join(f"{role} {us:g}" for role, us in used.items())
        quick = f"{rate[way]:>14.0f} {latency['p50']:>8.3f} {latency['p99']:>8.3f}"
        lines.append(f"  {way:<20} {quick} {answer_bytes[way]:>6} B  {shown}")
    lines.append(f"  rendezvous / echo {rate['ratio_to_echo']}, rendezvous / ceiling {rate['ratio_to_ceiling']}")
    if answer_bytes["rendezvous"] > 1.2 * RESULT_BYTES:
        lines.append(f"  the ceiling's answers ({RESULT_BYTES} B) are smaller than the real ones: update RESULT_BYTES")
    return lines
