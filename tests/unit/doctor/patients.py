"""Devices to examine: settings on a card, and a machine whose `/proc`, `/sys` and programs are files of the test."""

from collections.abc import Mapping
from pathlib import Path

from roost_broker.clock import Clock
from roost_broker.private_process import free_port
from roost_edge.doctor.broker_look import Look
from roost_edge.doctor.findings import Verdict
from roost_edge.doctor.patient import Patient
from roost_edge.settings import loading

PI = {"/proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0"}
SCHEDULE = """task = "nest"
sla_ms = 2000
[[step]]
after_ms = 0
accept = ["a"]
[default]
after_ms = 1900
label = "unknown"
"""


def patient(
    folder: Path,
    *,
    files: Mapping[str, str] | None = None,
    programs: Mapping[str, str] | None = None,
    clock: Clock | None = None,
    sections: str = "",
    models: str = "",
    data: str = "data",
    looked: Look | None = None,
) -> Patient:
    """One task with one bundle (which a test makes that needs it), no broker.

    `files` are the machine's, `programs` shell scripts by name, `looked` is what the roles said.
    """
    (folder / "schedule.toml").write_text(SCHEDULE, encoding="utf-8")
    if not data.startswith("/"):
        (folder / data).mkdir(exist_ok=True)
    settings = folder / "roost.toml"
    settings.write_text(
        f'[node]\nname = "coop-1"\ndata = "{data}"\n[broker]\nport = {free_port()}\nconnect_timeout_s = 1\n'
        f'[tasks.nest]\nschedule = "schedule.toml"\n[tasks.nest.models.a]\nbundle = "bundle"\n{models}\n{sections}\n',
        encoding="utf-8",
    )
    root = folder / "root"
    root.mkdir(exist_ok=True)
    for name, text in (files or {}).items():
        file = root / name.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    for name, script in (programs or {}).items():
        file = folder / "programs" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        file.chmod(0o755)
    return Patient(
        loading.load(settings), file=settings, root=root, programs=str(folder / "programs"), clock=clock, looked=looked
    )


def helps(verdict: Verdict, status: str, found: str, remedy: str) -> bool:
    """Whether it says so, and names this as the next step. Fails with what it said instead."""
    assert verdict.status == status, verdict
    assert found in verdict.found, verdict
    assert remedy in verdict.remedy, verdict
    return True
