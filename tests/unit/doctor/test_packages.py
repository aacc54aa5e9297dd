import importlib.util
from pathlib import Path

import pytest
from patients import helps, patient

from roost_edge.doctor.packages import needed, packages


def test_what_the_settings_need_is_here(tmp_path: Path) -> None:
    verdict = packages(patient(tmp_path))
    assert helps(verdict, "ok", "has all that the settings need", "")
    assert verdict.facts["numpy"]


@pytest.mark.skipif(importlib.util.find_spec("picamera2") is not None, reason="picamera2 is installed here")
def test_a_camera_whose_library_is_missing_names_the_package(tmp_path: Path) -> None:
    device = patient(tmp_path, sections='[cameras.box]\ntask = "nest"\nsource = "picamera"\n')
    assert helps(packages(device), "fail", "lacks picamera2", "python3-picamera2")


def test_each_part_of_the_settings_asks_for_its_own(tmp_path: Path) -> None:
    plain = {module for module, _ in needed(patient(tmp_path).settings)}
    full = {module for module, _ in needed(patient(tmp_path, sections="[gateway]\n[proxy]\n").settings)}
    assert full - plain == {"nats", "aiohttp"}
