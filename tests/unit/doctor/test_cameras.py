import fcntl
from pathlib import Path

import numpy as np
import pytest
from patients import helps, patient
from PIL import Image

from roost_edge.doctor.cameras import camera, limit_s
from roost_edge.doctor.checks import checks_of
from roost_edge.doctor.examining import chosen, examine


def pictures(folder: Path, *, even: bool = False) -> Path:
    made = folder / "pictures"
    made.mkdir()
    shades = np.full((60, 80, 3), 90, dtype=np.uint8)
    if not even:
        shades[:, 40:] = 200
    Image.fromarray(shades).save(made / "1.png")
    return made


def section(**values: str) -> str:
    fields = "".join(f"{name} = {value}\n" for name, value in values.items())
    return f'[cameras.box]\ntask = "nest"\n{fields}'


def test_a_camera_that_delivers_shows_its_size(tmp_path: Path) -> None:
    pictures(tmp_path)
    verdict = camera(patient(tmp_path, sections=section(source='"folder"', path='"pictures"')), "box")
    assert helps(verdict, "ok", "gave a frame of 80 × 60", "")
    assert verdict.facts["width"] == 80


def test_a_camera_that_is_missing_is_a_cable_to_look_at(tmp_path: Path) -> None:
    device = patient(tmp_path, sections=section(source='"folder"', path='"unplugged"'))
    verdict = camera(device, "box")
    assert verdict.status == "fail"
    assert "unplugged" in verdict.found
    assert verdict.remedy
    verdict = camera(patient(tmp_path, sections=section(source='"opencv"', device="63", open_timeout_ms="2000")), "box")
    assert verdict.status == "fail"
    assert verdict.remedy


def test_a_covered_lens_is_told(tmp_path: Path) -> None:
    pictures(tmp_path, even=True)
    device = patient(tmp_path, sections=section(source='"folder"', path='"pictures"'))
    assert helps(camera(device, "box"), "warn", "one even colour", "lens is covered")


# As a driver does whose camera does not answer: it comes back never, and lets no other thread of Python run.
HANGING = """import ctypes

class Scene:
    def __init__(self, **_):
        pass

    def frame(self, index):
        ctypes.PyDLL(None).sleep(100_000)
"""


def test_a_camera_that_hangs_is_left_behind_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hanging.py").write_text(HANGING, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    timeouts = {"open_timeout_ms": "100", "read_timeout_ms": "100"}
    device = patient(tmp_path, sections=section(source='"synthetic"', scene='"hanging:Scene"', **timeouts))
    limit = limit_s(device.settings.cameras["box"])
    assert limit < 6
    report = examine(device, chosen(checks_of(device.settings), ("camera",)))
    assert helps(report.checks[0], "fail", f"delivered nothing within {limit:g} s", "[cameras.box]")
    assert not report.ok


def test_a_driver_that_kills_its_process_kills_only_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deadly.py").write_text(HANGING.replace("sleep(100_000)", "abort()"), encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    device = patient(tmp_path, sections=section(source='"synthetic"', scene='"deadly:Scene"'))
    assert helps(camera(device, "box"), "fail", "ended the process that opened it (status -6)", "dmesg")


def test_a_camera_whose_role_runs_is_not_opened_a_second_time(tmp_path: Path) -> None:
    device = patient(tmp_path, sections=section(source='"folder"', path='"unplugged"'))
    lock = device.settings.layout.session("capture-box.lock")
    lock.parent.mkdir(parents=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        report = examine(device, chosen(checks_of(device.settings), ("camera/box",)))
    # The broker is not there to tell what the role sees; that is the broker's failure, not the camera's.
    assert helps(report.checks[0], "skipped", "The broker does not answer", "broker")


@pytest.mark.parametrize(("open_ms", "read_ms", "expected"), [(1_000, 1_000, 7), (120_000, 5_000, 20)])
def test_a_camera_has_the_time_of_its_settings_and_no_more_than_is_bearable(
    tmp_path: Path, open_ms: int, read_ms: int, expected: float
) -> None:
    text = section(source='"folder"', path='"x"', open_timeout_ms=str(open_ms), read_timeout_ms=str(read_ms))
    assert limit_s(patient(tmp_path, sections=text).settings.cameras["box"]) == expected
