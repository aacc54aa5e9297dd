"""Memory of every role of a whole device, as `roost_edge.daemon` runs them."""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench_processes import REPOSITORY, alive
from bench_roles import NODE
from report import Outcome, Say, pss_mb

from roost_broker.mosquitto import PrivateBroker


def measure_roles(outcome: Outcome, seconds: int, say: Say) -> None:
    """A henhouse with all committed models, after so many seconds. What cannot be measured says why."""
    bundles = sorted((REPOSITORY / "models" / "henhouse" / "bundles").glob("*/manifest.json"))
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
        memory = {name: pss_mb(pid) if alive(pid) else None for name, pid in running.items()}
    complete = all(value is not None for value in memory.values())
    outcome.data["roles"] = {
        "pss_mb": memory,
        "total_mb": round(sum(value or 0 for value in memory.values()), 1) if complete else None,
        "measured_after_s": seconds,
    }


def role_lines(roles: dict[str, Any]) -> list[str]:
    """The same for people."""
    if "not_measured" in roles:
        return [f"memory of a whole device: not measured ({roles['not_measured']})"]
    lines = [f"memory (PSS, MB) of a whole device after {roles['measured_after_s']} s:"]
    lines += [f"  {name:<28} {'not running' if mb is None else mb:>8}" for name, mb in roles["pss_mb"].items()]
    if roles["total_mb"] is not None:
        lines.append(f"  {'all roles':<28} {roles['total_mb']:>8}")
    return lines


def _device_file(folder: Path, port: int, bundles: list[Path]) -> Path:
    text = [f'[node]\nname = "{NODE}"\n[broker]\nport = {port}\n[tasks.henhouse]']
    text.append(f'schedule = "{REPOSITORY / "models" / "henhouse" / "schedule.toml"}"')
    text += [f'[tasks.henhouse.models.{m.parent.name}]\nbundle = "{m.parent}"' for m in bundles]
    text.append('[cameras.nest]\ntask = "henhouse"\nsource = "synthetic"\nwidth = 640\nheight = 480\nfps = 10.0')
    if (REPOSITORY / "models" / "henhouse" / "roost_henhouse" / "scene.py").exists():
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
