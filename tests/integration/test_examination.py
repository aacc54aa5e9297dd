"""The desk's examination as a process: what becomes of it when it is broken off, and when it cannot even begin."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from device_folder import write_schedule, write_settings
from process_end import ended_within

from roost_broker.clock import SystemClock
from roost_broker.errors import PeerError
from roost_broker.private_process import free_port
from roost_edge.desk.examination import Examiner
from roost_edge.doctor.findings import Report
from roost_edge.settings import loading
from roost_edge.settings.device import Settings

pytestmark = pytest.mark.processes

HANGING = """import ctypes, os, pathlib

class Scene:
    def __init__(self, **_):
        pass

    def frame(self, index):
        (pathlib.Path(__file__).parent / "pid").write_text(str(os.getpid()))
        ctypes.PyDLL(None).sleep(100_000)
"""


def device(folder: Path, camera: dict[str, object]) -> Settings:
    write_schedule(folder, "bright")
    (folder / "data").mkdir()
    return loading.load(
        write_settings(folder, node="examined", port=free_port(), bundles={"bright": "bright"}, camera=camera)
    )


def test_an_examination_that_is_broken_off_leaves_no_process_behind(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hanging_camera.py").write_text(HANGING, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    settings = device(tmp_path, {"source": "synthetic", "scene": "hanging_camera:Scene", "open_timeout_ms": 100_000})

    async def main() -> int:
        examiner = Examiner(settings, user="operator", timeout_s=600, clock=SystemClock())
        examination = asyncio.create_task(examiner.examine(("camera",)))
        note = tmp_path / "pid"
        while not (note.exists() and note.read_text()):
            assert not examination.done()
            await asyncio.sleep(0.05)
        examination.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await examination
        return int(note.read_text())

    assert ended_within(run(main(), timeout=60), 30)


def test_when_the_time_is_over_the_report_has_what_was_found_and_names_what_is_missing(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hanging_camera.py").write_text(HANGING, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    settings = device(tmp_path, {"source": "synthetic", "scene": "hanging_camera:Scene", "open_timeout_ms": 100_000})
    examiner = Examiner(settings, user="operator", timeout_s=10, clock=SystemClock(), grace_s=120)
    report = msgspec.convert(run(examiner.examine(("camera", "temperature")), timeout=150), Report)
    found = {check.name: check for check in report.checks}
    assert found["camera/nest"].status in ("warn", "skipped")
    assert "when the examination's time was over" in found["camera/nest"].found
    assert "--only camera/nest" in found["camera/nest"].remedy
    assert found["temperature"].status in ("ok", "warn", "fail", "skipped")
    assert ended_within(int((tmp_path / "pid").read_text()), 30)


def test_an_examination_that_does_not_even_report_is_ended_and_the_answer_says_so(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import time\ntime.sleep(100_000)\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    settings = device(tmp_path, {"source": "folder", "path": "pictures"})
    examiner = Examiner(settings, user="operator", timeout_s=0.5, clock=SystemClock(), grace_s=0.25)
    with pytest.raises(PeerError, match=r"did not end within 0\.75 s.*desk\.doctor_timeout_s"):
        run(examiner.examine(("temperature",)))


def test_an_examination_that_cannot_begin_says_why(run: Callable[..., Any], tmp_path: Path) -> None:
    settings = device(tmp_path, {"source": "folder", "path": "pictures"})
    with pytest.raises(PeerError, match="There is no check 'nothing' here"):
        run(Examiner(settings, user="operator", timeout_s=120, clock=SystemClock()).examine(("nothing",)), timeout=120)
