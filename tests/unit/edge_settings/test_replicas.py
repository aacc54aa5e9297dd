from pathlib import Path

import pytest

from roost_broker.errors import Misuse
from roost_edge.processes.plan import RoleProcess, plan, resolve
from roost_edge.processes.readiness import state_topic
from roost_edge.settings.check import check
from roost_edge.settings.device import Settings
from roost_edge.settings.loading import load
from roost_henhouse.recipe import BUNDLES


def settings_with(folder: Path, more: str) -> Settings:
    path = folder / "roost.toml"
    path.write_text(
        '[node]\nname = "n"\n[tasks.nest]\nschedule = "s"\n'
        f'[tasks.nest.models.champion]\nbundle = "x"\n{more}\n[tasks.nest.models.fast]\nbundle = "y"\n',
        encoding="utf-8",
    )
    return load(path)


def models(settings: Settings) -> list[RoleProcess]:
    return [role for role in plan(settings) if role.kind == "model"]


def test_each_replica_is_a_role_of_its_own_and_a_single_process_keeps_its_name(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, "replicas = 2")
    assert [role.name for role in models(settings)] == [
        "model-nest-champion-1",
        "model-nest-champion-2",
        "model-nest-fast",
    ]
    assert [state_topic(settings.topics, role) for role in models(settings)] == [
        "roost/n/nest/models/champion/state/1",
        "roost/n/nest/models/champion/state/2",
        "roost/n/nest/models/fast/state",
    ]


def test_the_arguments_of_a_replica_lead_back_to_it(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, 'replicas = 2\nkey = "camera"')
    second = models(settings)[1]
    assert second.arguments() == ("model", "--task", "nest", "--model", "champion", "--replica", "2")
    assert resolve(settings, "model", model="champion", replica=2) == second
    with pytest.raises(Misuse, match=r"--replica 1; model .*--replica 2"):
        resolve(settings, "model", model="champion")


def test_a_replica_called_as_another_model_is_refused(tmp_path: Path) -> None:
    more = 'replicas = 2\n[tasks.nest.models.champion-2]\nbundle = "z"'
    with pytest.raises(Misuse, match="model-nest-champion-2"):
        plan(settings_with(tmp_path, more))


@pytest.mark.parametrize("more", ["replicas = 0", "replicas = 65", 'key = "camera"', 'replicas = 1\nkey = "camera"'])
def test_replicas_that_cannot_be_are_refused(more: str, tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="replicas"):
        settings_with(tmp_path, more)


def test_a_model_that_remembers_and_has_replicas_without_a_key_is_found_before_it_is_started(tmp_path: Path) -> None:
    def errors(more: str) -> list[str]:
        path = tmp_path / "roost.toml"
        path.write_text(
            '[node]\nname = "n"\n[tasks.henhouse]\nschedule = "s"\n'
            f'[tasks.henhouse.models.visits]\nbundle = "{BUNDLES / "visits"}"\nreplicas = 2\n{more}\n',
            encoding="utf-8",
        )
        return [one.field for one in check(path) if one.level == "error" and "replicas" in one.field]

    assert errors("") == ["tasks.henhouse.models.visits.replicas"]
    assert errors('key = "camera"') == []
