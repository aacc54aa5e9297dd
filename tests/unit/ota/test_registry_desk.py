"""The registry process's last words: kept when it fails, however much it says."""

import asyncio
import logging
from pathlib import Path

import pytest

from roost_edge.ota.registry_desk import RegistryDesk, RegistryFailed
from roost_edge.ota.settings import OtaSettings


def test_what_the_process_said_on_stderr_is_logged_when_it_fails_and_only_the_end_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")  # Python then writes hundreds of lines to stderr
    (tmp_path / "root.json").write_bytes(b"{}")
    settings = OtaSettings(registry=str(tmp_path / "nosuch"), root=str(tmp_path / "root.json"))
    desk = RegistryDesk(settings, store=tmp_path / "store", cache=tmp_path / "cache")
    with caplog.at_level(logging.WARNING), pytest.raises(RegistryFailed):
        asyncio.run(desk.look(()))
    (record,) = [one for one in caplog.records if one.name == "roost_edge.ota.registry_desk"]
    said = record.getMessage()
    assert "import time:" in said
    assert len(said.splitlines()) <= 20
