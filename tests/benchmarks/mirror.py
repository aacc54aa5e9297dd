"""What production pays for a developer's mirror (promises V18, D6): the requester's p50 and p99 with and without one.

Production is a real rendezvous server and a model that answers at once, at 100 requests/s; the mirror is `roost mirror`
as a developer starts it, into a second broker. A desk is another machine; here both share one, so the mirror runs with
the lowest priority (nice 19) and its work is still part of what is measured. Blocks with and without it alternate, and
each block's p99 is kept: how far apart those of one kind lie is the machine's noise, and a difference below it says
nothing.
"""

import asyncio
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench_processes import role_process
from bench_requester import Requester
from bench_roles import NODE, TASK, TOPICS
from report import Outcome, Say, at_most, percentile

from roost_broker.bus import Delivery
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.topics import NodeTopics

_RATE = 100
_STARTING_S = 30
_DESK = NodeTopics("desk").task(TASK)


def run(quick: bool, say: Say) -> Outcome:
    """See the module."""
    outcome = Outcome()
    with tempfile.TemporaryDirectory(prefix="roost-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        production = stack.enter_context(PrivateBroker(folder / "production"))
        desk = stack.enter_context(PrivateBroker(folder / "desk-broker"))
        for role in ("rendezvous", "model"):
            stack.enter_context(role_process(role, production.port, folder))
        asyncio.run(_measure(outcome, production, desk, _settings(folder, desk), quick, say))
    return outcome


def _settings(folder: Path, desk: PrivateBroker) -> Path:
    (folder / "nest.toml").write_text(
        f'task = "{TASK}"\nsla_ms = 2000\n[[step]]\nafter_ms = 0\naccept = ["*"]\n'
        '[default]\nafter_ms = 1900\nlabel = "unknown"\n',
        encoding="utf-8",
    )
    path = folder / "desk.toml"
    path.write_text(
        f'[node]\nname = "desk"\n[broker]\nport = {desk.port}\n[tasks.{TASK}]\nschedule = "nest.toml"\n',
        encoding="utf-8",
    )
    return path


@contextmanager
def _mirror(production: PrivateBroker, settings: Path) -> Iterator[None]:
    code = "import sys; from roost_edge.cli import main; sys.exit(main())"
    words = ("mirror", "--from", f"127.0.0.1:{production.port}", "--node", NODE, "--settings", str(settings))
    process = subprocess.Popen(
        ["nice", "-n", "19", sys.executable, "-c", code, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _measure(
    outcome: Outcome, production: PrivateBroker, desk: PrivateBroker, settings: Path, quick: bool, say: Say
) -> None:
    bus = MqttBus(production.settings(), "bench-requester")
    requester = Requester(bus, TOPICS)
    watcher = MqttBus(desk.settings(), "bench-desk")
    copied = asyncio.Event()
    copies = 0

    def arrived(delivery: Delivery) -> None:
        nonlocal copies
        copies += 1
        copied.set()
        delivery.ack()

    watcher.subscribe(_DESK.input, arrived)
    await bus.start()
    await watcher.start()
    found: dict[str, list[list[float]]] = {"without": [], "with": []}
    asked = 0
    seconds = 2.0 if quick else 10.0
    try:
        await requester.closed_loop(4, 0.7)
        for block in range(2 if quick else 6):
            say(f"Block {block + 1}: without a mirror …")
            found["without"].append(await requester.open_loop(_RATE, seconds))
            with _mirror(production, settings):
                copied.clear()
                async with asyncio.timeout(_STARTING_S):
                    while not copied.is_set():  # until the mirror copies
                        await requester.open_loop(10, 0.2)
                say(f"Block {block + 1}: with one …")
                before = copies
                found["with"].append(await requester.open_loop(_RATE, seconds))
                asked += len(found["with"][-1])
                outcome.data.setdefault("copied", []).append(copies - before)
    finally:
        await bus.stop()
        await watcher.stop()
    _judge(outcome, found, asked)


def _judge(outcome: Outcome, found: dict[str, list[list[float]]], asked: int) -> None:
    figures: dict[str, Any] = {}
    for way, blocks in found.items():
        every = [latency for block in blocks for latency in block]
        figures[way] = {
            "p50_ms": round(percentile(every, 0.5), 3),
            "p99_ms": round(percentile(every, 0.99), 3),
            "p99_by_block": [round(percentile(block, 0.99), 3) for block in blocks],
        }
        outcome.lines.append(
            f"{way + ' mirror':16} p50 {figures[way]['p50_ms']:7.3f} ms   p99 {figures[way]['p99_ms']:7.3f} ms"
            f"   p99 of each block {figures[way]['p99_by_block']}"
        )
    ratio = {name: figures["with"][name] / figures["without"][name] for name in ("p50_ms", "p99_ms")}
    outcome.data |= {"latency": figures, "asked_with_a_mirror": asked}
    outcome.lines.append(f"{sum(outcome.data['copied'])} of {asked} requests were copied.")
    outcome.goals += [
        at_most("V18", "p99 with a mirror / without", "×", round(ratio["p99_ms"], 3), 1.05),
        at_most("V18", "p50 with a mirror / without", "×", round(ratio["p50_ms"], 3), 1.05),
    ]
