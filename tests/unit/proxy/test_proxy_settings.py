"""Settings of the proxy, and where they stand among a device's."""

from pathlib import Path
from typing import Any

import pytest

from roost_broker.errors import Misuse
from roost_edge.processes.plan import plan
from roost_edge.settings.loading import load
from roost_rendezvous.proxy.settings import ProxySettings

DEVICE = '[node]\nname = "coop-1"\n[tasks.nest]\nschedule = "nest.toml"\n'


def kinds(folder: Path, more: str) -> list[str]:
    path = folder / "roost.toml"
    path.write_text(DEVICE + more, encoding="utf-8")
    return [role.kind for role in plan(load(path))]


def test_the_role_is_there_when_its_section_is(tmp_path: Path) -> None:
    assert "proxy" not in kinds(tmp_path, "")
    assert kinds(tmp_path, "[proxy]\n").count("proxy") == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "localhost"])  # noqa: S104 — refused
def test_nothing_but_loopback_is_listened_on(tmp_path: Path, host: str) -> None:
    with pytest.raises(Misuse, match="neither TLS nor identities"):
        kinds(tmp_path, f'[proxy]\nhost = "{host}"\n')


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 70_000},
        {"max_in_flight": 0},
        {"max_deadline_ms": 0},
        {"body_memory_bytes": 10_000},
        {"max_body_bytes": 30_000_000, "frames_budget_mb": 20},
    ],
)
def test_what_cannot_be_is_refused_with_what_can(wrong: dict[str, Any]) -> None:
    with pytest.raises(Misuse, match=r"proxy\.\w+ is .*\d") as refused:
        ProxySettings(**wrong)
    assert refused.value.remedy
