"""Settings of models that are kept up to date: what does not go together is said where it stands."""

from pathlib import Path

import pytest

from roost_broker.errors import Misuse
from roost_edge.processes.plan import candidates, plan, resolve
from roost_edge.settings import loading
from roost_edge.settings.check import check

HEAD = '[node]\nname = "coop"\n[tasks.nest]\nschedule = "s.toml"\n'
OTA = '[ota]\nregistry = "registry/public"\nroot = "root.json"\nsticks = ["stick"]\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "roost.toml"
    path.write_text(HEAD + text, encoding="utf-8")
    return path


def test_a_line_has_an_agent_a_second_slot_as_candidate_and_paths_beside_the_file(tmp_path: Path) -> None:
    device = loading.load(write(tmp_path, 'models.champion = { bundle = "b", ota = "hens" }\n' + OTA))
    assert device.ota is not None
    assert (device.ota.registry, device.ota.sticks) == (str(tmp_path / "registry/public"), (str(tmp_path / "stick"),))
    names = [role.name for role in plan(device)]
    assert "ota" in names
    assert "model-nest-champion-b" not in names
    assert [role.name for role in candidates(device)] == ["model-nest-champion-b"]
    assert resolve(device, "model", model="champion-b").name == "model-nest-champion-b"
    assert resolve(device, "model").name == "model-nest-champion"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('models.a = { bundle = "b", ota = "hens" }\n', "nobody would bring it"),
        ('models.a = { bundle = "b" }\n' + OTA, "no model is kept up to date"),
        ('models.a = { bundle = "b", ota = "h/s" }\n' + OTA, "cannot be the name of a bundle"),
        ('models.a = { bundle = "b", ota = "h" }\nmodels.a-b = { bundle = "b" }\n' + OTA, "second slot of a"),
        ('models.a = { bundle = "b", ota = "h" }\nmodels.c = { bundle = "b", ota = "h" }\n' + OTA, "the same bundle"),
        ('models.a = { bundle = "b", ota = "h", replicas = 2 }\n' + OTA, "models with one process"),
        ('models.a = { bundle = "b", ota = "h" }\n' + OTA + "poll_s = 0\n", "poll_s"),
    ],
)
def test_what_does_not_go_together_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Misuse, match=said):
        loading.load(write(tmp_path, text))


def test_a_check_finds_that_the_root_is_not_there_and_that_no_registry_lies_where_it_should(tmp_path: Path) -> None:
    path = write(tmp_path, 'models.champion = { bundle = "b", ota = "hens" }\n' + OTA)

    def found() -> dict[str, str]:
        return {one.field: one.level for one in check(path) if one.field.startswith("ota")}

    assert found() == {"ota.root": "error", "ota.registry": "warning"}
    (tmp_path / "registry/public/metadata").mkdir(parents=True)
    (tmp_path / "root.json").write_bytes(b"{}")
    assert found() == {}
