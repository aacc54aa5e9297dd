"""The same job done by Roost, by BentoML and by Ray Serve: three models for each request, one rule, an answer in time.

Each contestant serves the same henhouse models (champion, fast, shadow: see `peer_apps.rule`) behind HTTP on loopback
and gets the same pictures at the same moments: an open loop with Poisson arrivals of one seed, so a slow answer delays
no later question. A latency counts from the moment the question was due (whatever the client itself was late by is
included) to the last byte of the answer. The peers follow the rule in code, as their documentation composes models;
Roost by its schedule; the control in one process, with nothing isolated from anything.

Three phases: all well; champion stalled (its process stopped with SIGSTOP; in the control its thread waits); after it
went on. Counted of each phase: official answers within the SLA, how many of them were classifications, p50 and p99 of
all questions, errors. A question without an official answer, refused or not answered at all, counts as if the client
had waited for it to the end (5 s), whoever the contestant is. CPU and memory (PSS) are sums over
every process the contestant started, for Roost with its broker, its archive, alerts and monitor: what it does beside.

The peers need packages that Roost does not: `scripts/bench peers` installs them into an environment of their own.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from peer_apps import rule
from report import Outcome, Say, at_most, percentile, pss_mb

_HERE = Path(__file__).parent
_REPOSITORY = _HERE.parents[1]
_RATES = (20, 60)
"""Requests a second: an easy one, and one at which three models and HTTP keep two cores of a build machine busy."""
_GIVE_UP_S = 5.0
_MARK = "ROOST_BENCH_MARK"
_STARTING_S = 90.0
_CAUSES = ("preferred", "fallback")


@dataclass
class Running:
    """A contestant that answers at `url`; `stall(True)` stops its champion, `stall(False)` lets it go on."""

    url: str
    stall: Callable[[bool], None]
    read: Callable[[int, bytes], str]
    """Cause of an answer, from status and body; raises ValueError for what is no official answer."""


@dataclass
class Phase:
    """What the client saw of one phase, a latency in ms for each question."""

    latencies: list[float] = field(default_factory=list)
    causes: Counter[str] = field(default_factory=Counter)
    in_time: int = 0
    classified: int = 0
    cpu_s: float = 0.0

    def note(self, latency_ms: float, cause: str) -> None:
        """One question's end."""
        self.latencies.append(latency_ms)
        self.causes[cause] += 1
        if latency_ms <= rule.SLA_S * 1000 and cause in (*_CAUSES, "default"):
            self.in_time += 1
            self.classified += cause in _CAUSES

    def figures(self) -> dict[str, Any]:
        """For JSON."""
        asked = len(self.latencies)
        return {
            "asked": asked,
            "within_sla": round(self.in_time / asked, 4),
            "classified_within_sla": round(self.classified / asked, 4),
            "causes": dict(self.causes),
            "p50_ms": round(percentile(self.latencies, 0.5), 2),
            "p99_ms": round(percentile(self.latencies, 0.99), 2),
            "max_ms": round(max(self.latencies), 2),
            "cpu_ms_per_request": round(self.cpu_s * 1000 / asked, 2),
        }


def run(quick: bool, say: Say) -> Outcome:
    """See the module."""
    seconds, rates = (4, _RATES[:1]) if quick else (30, _RATES)
    outcome = Outcome(data={"seconds": seconds, "sla_ms": rule.SLA_S * 1000, "contestants": {}})
    python = os.environ.get("ROOST_PEERS_PYTHON", "")
    contestants: dict[str, Any] = {"roost": _roost, "control": _control}
    if python:
        contestants |= {"bentoml": _bentoml, "ray": _ray}
        outcome.data["versions"] = _versions(python)
    else:
        say("The peers are not installed (scripts/bench peers does that); measuring Roost and the control alone.")
    for name, start in contestants.items():
        say(f"{name}: starting …")
        with tempfile.TemporaryDirectory(prefix="roost-peers-") as folder:
            outcome.data["contestants"][name] = asyncio.run(_measure(name, start, Path(folder), seconds, rates, say))
    _table(outcome)
    _judge(outcome)
    return outcome


# -- the client ---------------------------------------------------------------------------------------------------


async def _measure(
    name: str, start: Any, folder: Path, seconds: float, rates: Sequence[int], say: Say
) -> dict[str, Any]:
    mark = uuid.uuid4().hex
    os.environ[_MARK] = mark  # inherited by every process it starts, however deep
    pictures = _pictures()
    found: dict[str, Any] = {"rates": {}}
    try:
        async with start(folder) as running:
            await _ask(running, pictures, 3, rates[0], seed=0)
            found["pss_mb"] = _memory(mark)
            for rate in rates:
                phases: dict[str, Any] = {}
                for number, (title, stalled) in enumerate((("well", False), ("stalled", True), ("after", False))):
                    say(f"{name}: {rate}/s, {title}, {seconds:g} s …")
                    running.stall(stalled)
                    phase = await _ask(running, pictures, seconds, rate, seed=number + 1, mark=mark)
                    phases[title] = phase.figures()
                found["rates"][str(rate)] = phases
            found["pss_mb_after"] = _memory(mark)
    finally:
        del os.environ[_MARK]
    return found


async def _ask(
    running: Running, pictures: list[bytes], seconds: float, rate: int, *, seed: int, mark: str = ""
) -> Phase:
    import aiohttp

    dice = random.Random(seed)
    phase = Phase()
    cpu = _cpu_s(mark)
    timeout = aiohttp.ClientTimeout(total=_GIVE_UP_S)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session,
        asyncio.TaskGroup() as questions,
    ):
        due = time.perf_counter() + 0.05
        end = due + seconds
        while (due := due + dice.expovariate(rate)) < end:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            questions.create_task(_one(session, running, dice.choice(pictures), due, phase))
    phase.cpu_s = _cpu_s(mark) - cpu
    return phase


async def _one(session: Any, running: Running, picture: bytes, due: float, phase: Phase) -> None:
    import aiohttp

    try:
        async with session.post(running.url, data=picture, headers={"Content-Type": "image/jpeg"}) as answer:
            body = await answer.read()
            took = (time.perf_counter() - due) * 1000
            phase.note(took, running.read(answer.status, body))
    except (aiohttp.ClientError, TimeoutError, ValueError, msgspec.DecodeError) as error:
        phase.note(_GIVE_UP_S * 1000, f"error {type(error).__name__}")


def _pictures() -> list[bytes]:
    """Held-out stills of the henhouse, as its camera would send them."""
    found = sorted((_REPOSITORY / "models" / "henhouse" / "bundles").glob("*/goldens/*.jpg"))
    return [path.read_bytes() for path in found]


# -- the contestants ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def _roost(folder: Path) -> AsyncIterator[Running]:
    from roost_broker.mosquitto import PrivateBroker
    from roost_broker.private_process import free_port
    from roost_edge.processes.supervisor import Supervisor

    port = free_port()
    with PrivateBroker(folder / "mosquitto") as broker:
        models = "".join(f'models.{name}.bundle = "{rule.bundle(name)}"\n' for name in rule.BUNDLES)
        (folder / "henhouse.toml").write_text(rule.SCHEDULE, encoding="utf-8")
        (folder / "roost.toml").write_text(
            f'[node]\nname = "peer"\n[broker]\nport = {broker.port}\n[proxy]\nport = {port}\n'
            f'[tasks.henhouse]\nschedule = "henhouse.toml"\n{models}',
            encoding="utf-8",
        )
        supervisor = Supervisor(folder / "roost.toml")
        await supervisor.start()

        def stall(stalled: bool) -> None:
            supervisor.kill("model-henhouse-champion", signal.SIGSTOP if stalled else signal.SIGCONT, restart=True)

        def read(status: int, body: bytes) -> str:
            cause = str(msgspec.json.decode(body).get("cause", ""))
            if (status, cause) != (504, "default") and (status != 200 or cause not in _CAUSES):
                raise ValueError(body)
            return cause

        try:
            await supervisor.wait_ready(60)
            yield Running(f"http://127.0.0.1:{port}/v1/tasks/henhouse/requests", stall, read)
        finally:
            stall(False)
            await supervisor.stop()


@asynccontextmanager
async def _control(folder: Path) -> AsyncIterator[Running]:
    from roost_broker.private_process import free_port

    port = free_port()
    async with _process([sys.executable, "-m", "peer_apps.control_app", str(port)], folder, port) as (pid, url):
        yield Running(url, lambda on: os.kill(pid, signal.SIGUSR1 if on else signal.SIGUSR2), _cause)


@asynccontextmanager
async def _bentoml(folder: Path) -> AsyncIterator[Running]:
    from roost_broker.private_process import free_port

    port = free_port()
    program = Path(os.environ["ROOST_PEERS_PYTHON"]).with_name("bentoml")
    command = [str(program), "serve", "peer_apps.bento_app:Front", "--host", "127.0.0.1", "--port", str(port)]
    async with _process(command, folder, port, PEER_PORT=str(port), BENTOML_DO_NOT_TRACK="True") as (_, url):
        yield Running(url, _stop_process("--service-name Champion"), _cause)


@asynccontextmanager
async def _ray(folder: Path) -> AsyncIterator[Running]:
    from roost_broker.private_process import free_port

    port = free_port()
    command = [os.environ["ROOST_PEERS_PYTHON"], "-m", "peer_apps.ray_app", str(port)]
    async with _process(command, folder, port, RAY_USAGE_STATS_ENABLED="0") as (_, url):
        yield Running(url, _stop_process("ray::ServeReplica:default:champion"), _cause)


@asynccontextmanager
async def _process(command: list[str], folder: Path, port: int, **settings: str) -> AsyncIterator[tuple[int, str]]:
    """A contestant's outermost process, once it classifies; and where."""
    url = f"http://127.0.0.1:{port}/classify"
    paths = [_HERE, *(_REPOSITORY / name for name in ("broker", "rendezvous", "models"))]
    environment = {**os.environ, **settings, "PYTHONPATH": os.pathsep.join(map(str, paths)), "HOME": str(folder)}
    process = _started(command, environment, folder / "log")
    try:
        await _answers(url, process, folder / "log")
        yield process.pid, url
    finally:
        mark = os.environ[_MARK]
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, 20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pid in _marked(mark) - {os.getpid()}:  # what it left behind
            with suppress(ProcessLookupError):  # it was ending
                os.kill(pid, signal.SIGKILL)


def _started(command: list[str], environment: dict[str, str], log: Path) -> "subprocess.Popen[bytes]":
    with log.open("wb") as said:
        return subprocess.Popen(
            command, stdout=said, stderr=said, stdin=subprocess.DEVNULL, env=environment, start_new_session=True
        )


def _last_words(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-2000:]


async def _answers(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    import aiohttp

    end = time.monotonic() + _STARTING_S
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        while time.monotonic() < end and process.poll() is None:
            try:
                async with session.post(url, data=_pictures()[0]) as answer:
                    if answer.status == 200 and _cause(200, await answer.read()) == "preferred":
                        return
            except (aiohttp.ClientError, TimeoutError, ValueError):
                pass
            await asyncio.sleep(0.25)
    raise RuntimeError(f"It does not answer. It said: {_last_words(log)}")


def _cause(status: int, body: bytes) -> str:
    if status != 200:
        raise ValueError(status)
    return str(msgspec.json.decode(body)["cause"])


def _stop_process(command: str) -> Callable[[bool], None]:
    """Stops the one process of ours whose command line has these words; the same one is told to go on, if it lives."""
    stopped: list[int] = []

    def stall(stalled: bool) -> None:
        if stalled:
            stopped.extend(pid for pid in _marked(os.environ[_MARK]) if command in _command_line(pid))
            if len(stopped) != 1:
                raise RuntimeError(f"{len(stopped)} processes are called {command!r}.")
        for pid in stopped:
            try:
                os.kill(pid, signal.SIGSTOP if stalled else signal.SIGCONT)
            except ProcessLookupError:  # its own server replaced it meanwhile
                continue
        if not stalled:
            stopped.clear()

    return stall


# -- processes ----------------------------------------------------------------------------------------------------


def _marked(mark: str) -> set[int]:
    """Processes started by this contestant: the mark is in their environment. Never this process itself."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if f"{_MARK}={mark}".encode() in (entry / "environ").read_bytes():
                    found.add(int(entry.name))
            except OSError:
                continue
    return found


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _memory(mark: str) -> float:
    return round(sum(pss_mb(pid) or 0.0 for pid in _marked(mark)), 1)


def _cpu_s(mark: str) -> float:
    """CPU seconds of the contestant's processes that are alive."""
    ticks = 0
    for pid in _marked(mark) if mark else ():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _versions(python: str) -> dict[str, str]:
    code = "from importlib.metadata import version as v; print(v('bentoml'), v('ray'))"
    bentoml, ray = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    return {"bentoml": bentoml, "ray": ray}


# -- what it means ------------------------------------------------------------------------------------------------


def _table(outcome: Outcome) -> None:
    outcome.lines.append(
        f"SLA {rule.SLA_S * 1000:g} ms, {outcome.data['seconds']:g} s a phase, open loop, at the client"
    )
    columns = f"{'in SLA':>8}{'classified':>11}{'p50 ms':>9}{'p99 ms':>9}{'CPU ms/req':>11}"
    outcome.lines.append(f"{'':10}{'PSS MB':>8}{'/s':>5} {'phase':9}{columns}")
    for name, found in outcome.data["contestants"].items():
        head = f"{name:10}{found['pss_mb']:>8}"
        for rate, phases in found["rates"].items():
            for title, part in phases.items():
                outcome.lines.append(
                    f"{head:18}{rate:>5} {title:9}{part['within_sla']:>8.1%}{part['classified_within_sla']:>11.1%}"
                    f"{part['p50_ms']:>9.1f}{part['p99_ms']:>9.1f}{part['cpu_ms_per_request']:>11.1f}"
                )
                head = ""


def _judge(outcome: Outcome) -> None:
    found = outcome.data["contestants"]
    roost = found["roost"]
    for peer in ("bentoml", "ray"):
        if peer not in found:
            continue
        other = found[peer]
        for rate, ours in roost["rates"].items():
            theirs = other["rates"][rate]
            more = theirs["stalled"]["within_sla"] - ours["stalled"]["within_sla"]
            slower = {title: ours[title]["p99_ms"] / theirs[title]["p99_ms"] for title in ("well", "stalled")}
            outcome.goals += [
                at_most(
                    "share", f"champion stalled, {rate}/s: {peer}'s share in SLA above Roost's", "", round(more, 4), 0
                ),
                at_most(
                    "p99", f"champion stalled, {rate}/s: p99 of Roost / {peer}", "×", round(slower["stalled"], 2), 1
                ),
                at_most("p99", f"all well, {rate}/s: p99 of Roost / {peer}", "×", round(slower["well"], 2), 1),
            ]
        memory = round(roost["pss_mb"] / other["pss_mb"], 2)
        outcome.goals.append(at_most("memory", f"PSS of Roost / {peer}", "×", memory, 0.2))
