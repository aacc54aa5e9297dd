"""What the whole device kit costs its device (promise P7), and how soon it answers (P4).

All roles of a settings file with three models and one camera at 10 frames/s, each as `roost_edge.daemon` runs it, and a
Mosquitto of their own. First something crosses the picture, so that every model has answered and every buffer has been
used; then nothing moves. Idle CPU is counted over the quiet time, memory at its end: PSS by process, and for the whole
every page once (`bench_footprint_pages`; where only root may know that, the sum of PSS). Of the two the larger counts:
what others on the machine share lowers PSS, and what a device has to have stays the same.

The baselines are bare processes of the same run: an event loop that does nothing, the interpreter of one model and
nothing else, and the same camera with nobody who looks. The supervisor is not counted: on a device systemd is it.
"""

import asyncio
import compileall
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_footprint_pages import together_mb
from bench_footprint_scene import MOVES_FOR
from bench_processes import HERE, REPOSITORY, cpu_s
from report import Outcome, Say, at_most, percentile

from roost_broker.clock import MS
from roost_broker.mosquitto import PrivateBroker
from roost_edge.processes.supervisor import Supervisor
from roost_edge.processes.together import FLOCK
from roost_rendezvous.traces.knit import knit
from roost_rendezvous.traces.store import TraceReader

_BUNDLES = REPOSITORY / "models" / "henhouse" / "bundles"
_MODELS = ("champion", "fast", "rules")
_PACKAGES = ("broker/roost_broker", "rendezvous/roost_rendezvous", "models/roost_models", "edge/roost_edge")
"""And not the bundles: what is not in a manifest does not belong there."""
_FPS = 10
_MB_AT_MOST = 256
_CPU_AT_MOST = 25
_SLA_MS = 2_000
_START_S = 120.0
_LAST_ANSWERS_S = 5.0
"""After the last movement: answers are given, pictures archived, traces stored."""
_TRACES = 1_000


@dataclass(frozen=True)
class _Moment:
    """Of one process. Memory in MB (10^6 bytes)."""

    pss_mb: float
    own_mb: float
    """Pages that belong to it alone."""
    cpu_s: float
    threads: int


@dataclass(frozen=True)
class _Kit:
    """A whole device: each process at the end of the quiet time, its CPU being that of the quiet time."""

    processes: Mapping[str, _Moment]
    roles: Mapping[str, list[str]]
    answers_ms: list[float]
    together_mb: float | None
    """Each page once, as if nobody else had it."""

    @property
    def memory_mb(self) -> float:
        """What the device costs."""
        return max(self.pss_mb, self.together_mb or 0.0)

    @property
    def pss_mb(self) -> float:
        return round(sum(one.pss_mb for one in self.processes.values()), 1)

    @property
    def cpu_percent(self) -> float:
        return round(sum(one.cpu_s for one in self.processes.values()) * 100, 1)


def run(quick: bool, say: Say) -> Outcome:
    """See the module."""
    moves_s, quiet_s = (8, 10) if quick else (30, 60)
    _compile(say)
    os.environ[MOVES_FOR] = str(moves_s)  # inherited by the camera's process, and so is the next
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
    compact = _device(moves_s, quiet_s, say, compact=True)
    apart = None if quick else _device(moves_s, quiet_s, say, compact=False)
    say("the same machine, with bare processes")
    alone = _alone(quiet_s)
    return _outcome(compact, apart, alone, quiet_s)


def _device(moves_s: int, quiet_s: int, say: Say, *, compact: bool) -> "_Kit":
    with tempfile.TemporaryDirectory(prefix="roost-bench-") as name, PrivateBroker(Path(name) / "mosquitto") as broker:
        settings = _settings(Path(name), broker.port, compact=compact)
        return asyncio.run(_kit(settings, broker.pid, moves_s, quiet_s, say))


def _compile(say: Say) -> None:
    """As an installation does. Whoever compiles a module himself keeps megabytes that he needed for it."""
    say("compiling what is not yet compiled")
    for package in _PACKAGES:
        compileall.compile_dir(REPOSITORY / package, quiet=2)


async def _kit(settings: Path, mosquitto: int, moves_s: int, quiet_s: int, say: Say) -> "_Kit":
    supervisor = Supervisor(settings)
    say(f"Starting {len(supervisor.roles)} roles …")
    try:
        await supervisor.start(settle_s=_START_S)
        await supervisor.wait_ready(_START_S)
        groups: dict[str, list[str]] = {}
        for role in supervisor.roles:
            groups.setdefault(supervisor.process_of(role.name), []).append(role.name)
        pids = {"mosquitto": mosquitto} | {name: supervisor.process_pid(its[0]) or 0 for name, its in groups.items()}
        pids |= {name: supervisor.pid(name) or 0 for name in groups.get(FLOCK, ())}
        say(f"something moves for {moves_s} s")
        await asyncio.sleep(moves_s + _LAST_ANSWERS_S)
        say(f"nothing moves for {quiet_s} s")
        before = {name: cpu_s(pid) for name, pid in pids.items()}
        began = time.monotonic()
        await asyncio.sleep(quiet_s)
        took = time.monotonic() - began
        found = {name: _moment(pid, (cpu_s(pid) - before[name]) / took) for name, pid in pids.items()}
        together = together_mb(pids.values())
        return _Kit(found, groups, _answers(supervisor.settings.layout.traces), together)
    finally:
        await supervisor.stop()


def _answers(traces: Path) -> list[float]:
    """From the frame that triggered to the official result, in ms, for every request that was traced."""
    reader = TraceReader(traces)
    try:
        stories = [knit(one.request_id, one.messages) for one in reader.newest(_TRACES)]
    finally:
        reader.close()
    return [story.answered_ns / MS for story in stories if story.answered_ns is not None]


def _alone(quiet_s: int) -> dict[str, _Moment]:
    wanted: Mapping[str, tuple[str, ...]] = {
        "asyncio": ("asyncio",),
        "model": ("model", str(_BUNDLES / "champion")),
        "camera": ("camera", str(_FPS)),
    }
    with ExitStack() as stack:
        pids = {name: stack.enter_context(_bare(words)) for name, words in wanted.items()}
        before = {name: cpu_s(pid) for name, pid in pids.items()}
        began = time.monotonic()
        time.sleep(quiet_s)
        took = time.monotonic() - began
        return {name: _moment(pid, (cpu_s(pid) - before[name]) / took) for name, pid in pids.items()}


@contextmanager
def _bare(words: tuple[str, ...]) -> Iterator[int]:
    command = [sys.executable, str(HERE / "bench_footprint_alone.py"), *words]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _moment(pid: int, cpu: float) -> _Moment:
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
        name, kilobytes = line.split()[:2]
        found[name] = int(kilobytes) * 1024 / 1e6
    own = found["Private_Clean:"] + found["Private_Dirty:"]
    return _Moment(round(found["Pss:"], 1), round(own, 1), cpu, len(list(Path(f"/proc/{pid}/task").iterdir())))


def _settings(folder: Path, port: int, *, compact: bool) -> Path:
    text = f"""\
[node]
name = "bench"
data = "{folder / "data"}"
compact = {str(compact).lower()}
[broker]
port = {port}
[tasks.henhouse]
schedule = "{REPOSITORY / "models" / "henhouse" / "schedule.toml"}"
[cameras.nest]
task = "henhouse"
source = "synthetic"
scene = "bench_footprint_scene:CrossedThenQuiet"
width = 640
height = 480
fps = {_FPS}.0
[traces]
share = 1.0
[page]
port = 0
"""
    text += "".join(f'[tasks.henhouse.models.{name}]\nbundle = "{_BUNDLES / name}"\n' for name in _MODELS)
    path = folder / "roost.toml"
    path.write_text(text, encoding="utf-8")
    return path


def _outcome(device: _Kit, apart: _Kit | None, alone: Mapping[str, _Moment], quiet_s: int) -> Outcome:
    kit, answers, total, busy = device.processes, device.answers_ms, device.pss_mb, device.cpu_percent
    answered: dict[str, float] = {"count": len(answers)}
    if answers:
        answered |= {f"p{share}": round(percentile(answers, share / 100)) for share in (50, 95)}
        answered["max"] = round(max(answers))
    outcome = Outcome(
        data={
            "quiet_s": quiet_s,
            "processes": {name: _told(one) | {"roles": device.roles.get(name, [])} for name, one in kit.items()},
            "total": {"pss_mb": total, "together_mb": device.together_mb, "cpu_percent": busy},
            "each_role_a_process": None
            if apart is None
            else {"pss_mb": apart.pss_mb, "together_mb": apart.together_mb, "processes": len(apart.processes)},
            "alone": {name: _told(one) for name, one in alone.items()},
            "ratio": {
                "pss_to_one_model_alone": round(total / alone["model"].pss_mb, 2),
                "pss_to_an_empty_process_each": round(total / (alone["asyncio"].pss_mb * len(kit)), 2),
                "cpu_to_the_camera_alone": round(busy / max(alone["camera"].cpu_s * 100, 0.1), 2),
            },
            "answered_ms": answered,
        }
    )
    width = max(map(len, kit))
    outcome.lines += [f"{'':{width}}  PSS MB  own MB  CPU %  threads"]
    outcome.lines += [_line(name, one, width) for name, one in kit.items()]
    outcome.lines += [f"{'all':{width}}  {total:6.1f}          {busy:5.1f}"]
    outcome.lines += [f"each page once, whoever else has it: {device.together_mb} MB", ""]
    if apart is not None:
        words = f"{apart.pss_mb} MB, each page once {apart.together_mb} MB, in {len(apart.processes)} processes"
        outcome.lines += [f"without `compact`: {words}", ""]
    outcome.lines += ["bare processes of the same run:", *(_line(name, one, width) for name, one in alone.items()), ""]
    outcome.lines += [f"trigger to official result: {answered} ms"]
    outcome.goals += [
        at_most("P7 memory", "all roles and Mosquitto, three models", "MB", device.memory_mb, _MB_AT_MOST),
        at_most("P7 CPU", "idle, camera at 10 frames/s, of one core", "%", busy, _CPU_AT_MOST),
        at_most("P4", "trigger to official result, slowest", "ms", answered.get("max"), _SLA_MS),
    ]
    return outcome


def _told(one: _Moment) -> dict[str, Any]:
    cpu = round(one.cpu_s * 100, 2)
    return {"pss_mb": one.pss_mb, "own_mb": one.own_mb, "cpu_percent": cpu, "threads": one.threads}


def _line(name: str, one: _Moment, width: int) -> str:
    return f"{name:{width}}  {one.pss_mb:6.1f}  {one.own_mb:6.1f}  {one.cpu_s * 100:5.1f}  {one.threads:7}"
