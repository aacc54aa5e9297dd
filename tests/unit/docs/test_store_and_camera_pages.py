"""docs/cameras.md and docs/store.md: the settings they show are settings, and what they name is there."""

import re
from pathlib import Path

import pytest

from roost_edge.capture.settings import CaptureSettings
from roost_edge.doctor.keeping import _REMEDIES
from roost_edge.settings import loading
from roost_edge.sources.faults import CameraFault
from roost_edge.sources.settings import CameraSettings

DOCS = Path(__file__).parents[3] / "docs"
AROUND = """[node]
name = "coop"
qa = true
[tasks.henhouse]
schedule = "schedule.toml"
[tasks.henhouse.models.people]
bundle = "people"
"""
CAMERA = '[cameras.nest]\ntask = "henhouse"\n'
SCHEDULE = 'task = "henhouse"\nsla_ms = 2000\n[[step]]\nafter_ms = 0\naccept = ["people"]\n'
SCHEDULE += '[default]\nafter_ms = 1900\nlabel = "unknown"\n'


def shown(page: str) -> list[str]:
    return re.findall(r"```toml\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("toml", [*shown("cameras.md"), *shown("store.md")])
def test_settings_on_the_page_can_be_loaded(toml: str, tmp_path: Path) -> None:
    (tmp_path / "schedule.toml").write_text(SCHEDULE, encoding="utf-8")
    file = tmp_path / "roost.toml"
    file.write_text(AROUND + ("" if CAMERA in toml else CAMERA) + toml, encoding="utf-8")
    assert loading.load(file).cameras["nest"]


def test_names_on_the_pages_are_those_of_the_settings() -> None:
    cameras, store = ((DOCS / page).read_text(encoding="utf-8") for page in ("cameras.md", "store.md"))
    defaults = CaptureSettings()
    assert f"no frame for {defaults.late_s:g} s" in cameras
    assert f"no frame for {defaults.stall_s:g} s" in cameras
    assert f"for {defaults.frozen_s:g} s | takes it for frozen" in cameras
    for name in ("late_s", "stall_s", "reopen_ms", "reopen_tries", "frozen_s"):
        assert f"`{name}`" in cameras
        assert hasattr(defaults, name)
    for kind in CameraFault.__annotations__["kind"].__args__:
        assert f"`{kind}`:" in cameras
    for kind in CameraSettings.__annotations__["source"].__args__:
        assert f"`{kind}`" in cameras
    for alarm in _REMEDIES:
        assert f"| `{alarm}` |" in store
