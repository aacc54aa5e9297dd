"""A compact device to try: its settings, and running it under a supervisor that does not wait long."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from device_folder import write_bundle, write_pictures, write_schedule, write_settings

from roost_broker.clock import MS, SECOND
from roost_edge.processes.restart import RestartPolicy
from roost_edge.processes.supervisor import Supervisor

QUICK = RestartPolicy(first_ns=20 * MS, ceiling_ns=SECOND, healthy_ns=10 * SECOND, jitter=0.5)


def write_compact(folder: Path, models: tuple[str, ...], *, node: str, port: int) -> Path:
    """Settings with these models, each with a bundle of its own."""
    for name in models:
        write_bundle(folder, name)
    write_schedule(folder, *models)
    write_pictures(folder, 10, 240)
    path = write_settings(folder, node=node, port=port, bundles={name: name for name in models})
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("[node]\n", "[node]\ncompact = true\n", 1), encoding="utf-8")
    return path


@asynccontextmanager
async def running(settings: Path, *, settle_s: float = 60) -> AsyncIterator[Supervisor]:
    """All its processes, until the end of the block."""
    supervisor = Supervisor(settings, policy=QUICK)
    try:
        await supervisor.start(settle_s=settle_s)
        yield supervisor
    finally:
        await supervisor.stop()
