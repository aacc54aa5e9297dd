"""Settings, schedules and bundles of one kind of device, gathered and checked before anything slow."""

from pathlib import Path

import pytest

from roost_broker.errors import Misuse
from roost_provisioning.image.build.device_files import as_seen_here, gather, relative_paths

HENHOUSE = Path(__file__).parents[3] / "models" / "henhouse"

SETTINGS = """\
[node]
name = "coop-7"
data = "/var/lib/roost"

[tasks.henhouse]
schedule = "own/henhouse.toml"

[tasks.henhouse.models.rules]
bundle = "/opt/roost/bundles/rules"

[cameras.nest]
task = "henhouse"
source = "synthetic"
"""


def settings(folder: Path, text: str = SETTINGS) -> Path:
    (folder / "own").mkdir()
    (folder / "own/henhouse.toml").write_bytes((HENHOUSE / "schedule.toml").read_bytes())
    (folder / "device.toml").write_text(text)
    return folder / "device.toml"


def test_without_settings_a_device_shows_a_henhouse_that_draws_its_own_pictures(tmp_path: Path) -> None:
    findings = gather(None, (), HENHOUSE, tmp_path / "device")
    assert not [one for one in findings if one.level == "error"]
    files = {str(path.relative_to(tmp_path / "device")) for path in (tmp_path / "device").rglob("*") if path.is_file()}
    assert {"etc/roost/roost.toml", "etc/roost/schedules/henhouse.toml"} <= files
    assert "opt/roost/bundles/champion/manifest.json" in files
    assert 'name = "@identity"' in (tmp_path / "device/etc/roost/roost.toml").read_text()


def test_what_is_relative_beside_the_settings_lies_below_etc_roost_on_the_device(tmp_path: Path) -> None:
    source = settings(tmp_path)
    gather(source, (), HENHOUSE, tmp_path / "device")
    device = tmp_path / "device"
    assert (device / "etc/roost/own/henhouse.toml").is_file()
    assert (device / "etc/roost/roost.toml").read_text() == SETTINGS
    assert sorted(path.name for path in (device / "etc/roost").iterdir()) == ["own", "roost.toml", "schedules"]
    assert not (device / "var").exists()


def test_a_bundle_of_ones_own_goes_along_with_the_others(tmp_path: Path) -> None:
    own = tmp_path / "mine"
    own.symlink_to(HENHOUSE / "bundles/rules")
    source = settings(tmp_path, SETTINGS.replace("bundles/rules", "bundles/mine"))
    gather(source, (own,), HENHOUSE, tmp_path / "device")
    assert (tmp_path / "device/opt/roost/bundles/mine/manifest.json").is_file()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SETTINGS.replace("bundles/rules", "bundles/nobody"), r"device\.toml:9: .*nobody"),
        (SETTINGS.replace('task = "henhouse"', 'tusk = "henhouse"'), r"device\.toml:1[123]: "),
        (SETTINGS.replace("own/henhouse.toml", "own/missing.toml"), "missing"),
        (SETTINGS.replace("own/henhouse.toml", "../henhouse.toml"), "leads out"),
        (SETTINGS.replace("/var/lib/roost", "/home/pi/data"), 'data is not "/var/lib/roost"'),
        ("[node\n", "device"),
    ],
)
def test_settings_that_no_device_could_run_on_stop_the_build_at_once(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Misuse, match=said):
        gather(settings(tmp_path, text), (), HENHOUSE, tmp_path / "device")


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="nowhere"):
        gather(None, (tmp_path / "nowhere",), HENHOUSE, tmp_path / "device")


def test_addresses_and_absolute_paths_are_not_relative_paths() -> None:
    document = {
        "tasks": {"a": {"schedule": "s.toml", "models": {"m": {"bundle": "/opt/roost/bundles/m"}}}},
        "cameras": {"c": {"source": "opencv", "path": "rtsp"}, "d": {"source": "video", "path": "films/a.mp4"}},
        "ota": {"root": "root.json", "registry": "https://r.example"},
    }
    assert relative_paths(document) == ["films/a.mp4", "root.json", "s.toml"]


def test_lines_stay_where_they_are_when_folders_are_replaced() -> None:
    here = as_seen_here(SETTINGS, Path("/work"))
    assert '"/work/opt/roost/bundles/rules"' in here
    assert '"/work/var/lib/roost"' in here
    assert here.count("\n") == SETTINGS.count("\n")
