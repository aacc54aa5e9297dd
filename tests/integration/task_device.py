"""A device without a camera: tasks with their schedules and models, run as processes by the supervisor.

Whoever asks is the test's own affair (see `requester`). `device_folder` is for devices that watch something.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from roost_broker.clock import MS, SECOND
from roost_broker.mosquitto import PrivateBroker
from roost_broker.topics import NodeTopics
from roost_edge.processes.restart import RestartPolicy
from roost_edge.processes.supervisor import Supervisor
from roost_models.bundle.writing import write_bundle
from roost_rendezvous import schedule as schedules
from roost_rendezvous.schedule import Schedule

NODE, SLA_MS = "promised", 2000
QUICK = RestartPolicy(first_ns=20 * MS, ceiling_ns=SECOND, healthy_ns=10 * SECOND, jitter=0.5)


def schedule(
    *steps: tuple[int, list[str]], task: str = "nest", ignore: tuple[str, ...] = (), sla_ms: int = SLA_MS
) -> Schedule:
    return schedules.parse(
        {
            "task": task,
            "sla_ms": sla_ms,
            "step": [{"after_ms": after, "accept": accept} for after, accept in steps],
            "default": {"after_ms": sla_ms * 4 // 5, "label": "unknown"},
            "ignore": list(ignore),
        }
    )


class Device:
    """A folder with settings, schedules and bundles. Models are small, or a bundle that is there already."""

    def __init__(self, folder: Path, broker: PrivateBroker, *, qa: bool = False) -> None:
        self.folder, self.broker = folder, broker
        self.settings = folder / "roost.toml"
        self.topics = NodeTopics(NODE)
        text = f'[node]\nname = "{NODE}"\ndata = "data"\nqa = {str(qa).lower()}\n[broker]\nport = {broker.port}\n'
        self.settings.write_text(text, encoding="utf-8")

    def task(self, first: Schedule, /, **models: str | Path) -> None:
        """A task with its first schedule; a model is the source of a Python model, or the path of a bundle."""
        lines = [f"[tasks.{first.task}]", f'schedule = "{first.task}.toml"', "rendezvous.state_every_ms = 100"]
        for name, model in models.items():
            path = model if isinstance(model, Path) else self._bundle(f"{first.task}-{name}", model)
            lines.append(f'models.{name}.bundle = "{path}"')
        with self.settings.open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        steps = "".join(f"[[step]]\nafter_ms = {step.after_ms}\naccept = {list(step.accept)}\n" for step in first.steps)
        default = f'[default]\nafter_ms = {first.default.after_ms}\nlabel = "unknown"\n'
        head = f'task = "{first.task}"\nsla_ms = {first.sla_ms}\nignore = {list(first.ignore)}\n'
        (self.folder / f"{first.task}.toml").write_text(head + steps + default, encoding="utf-8")

    def _bundle(self, name: str, source: str) -> Path:
        fields = {
            **{"name": name, "version": "1.0.0", "task": name.split("-")[0], "engine": "python", "entry": "model.py"},
            **{"labels": ["here"], "licence": "Apache-2.0", "goldens": [{"values": {"number": 0}}]},
            "queue": {"max_waiting": 500},
        }
        return write_bundle(self.folder / name, fields, {"model.py": source.encode()}).root

    @asynccontextmanager
    async def up(self, *, faults: dict[str, str] | None = None, ready: bool = True) -> AsyncIterator[Supervisor]:
        supervisor = Supervisor(self.settings, faults=faults, policy=QUICK)
        try:
            await supervisor.start(settle_s=0)
            if ready:
                await supervisor.wait_ready(60)
            yield supervisor
        finally:
            await supervisor.stop()
