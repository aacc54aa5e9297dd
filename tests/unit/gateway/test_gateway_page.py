"""What docs/gateway.md shows can be loaded, and what it names exists."""

import re
from pathlib import Path

from roost_broker.centre.lanes import LANES
from roost_edge.processes.plan import plan
from roost_edge.settings import loading

PAGE = Path(__file__).resolve().parents[3] / "docs" / "gateway.md"


def test_the_settings_of_the_page_are_settings_and_give_a_gateway(tmp_path: Path) -> None:
    found = re.search(r"^```toml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None
    path = tmp_path / "roost.toml"
    path.write_text('[node]\nname = "coop-1"\n' + found[1], encoding="utf-8")
    settings = loading.load(path)
    assert settings.gateway is not None
    assert settings.gateway.frames.send == "night"
    assert Path(settings.gateway.centre.ca) == tmp_path / "certificates" / "authority.pem"
    assert [role.name for role in plan(settings)] == ["gateway"]


def test_without_the_section_there_is_no_gateway(tmp_path: Path) -> None:
    path = tmp_path / "roost.toml"
    path.write_text('[node]\nname = "coop-1"\n', encoding="utf-8")
    assert plan(loading.load(path)) == ()


def test_the_page_names_every_lane_with_its_stream() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for lane in LANES.values():
        assert f"| {lane.name} |" in text
        assert f"`{lane.stream}`" in text
