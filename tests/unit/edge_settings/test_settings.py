"""What `load` gives, what the roles of it are, and that the published schema is the real one."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from roost_broker.errors import Misuse
from roost_edge.processes.plan import RoleProcess, plan, resolve
from roost_edge.settings import schema as settings_schema
from roost_edge.settings.check import check
from roost_edge.settings.device import Settings
from roost_edge.settings.loading import load

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "edge" / "roost_edge" / "examples"
SCHEDULE = """\
task = "nest"
sla_ms = 3000
[[step]]
after_ms = 0
accept = ["*"]
[default]
after_ms = 2900
label = "unknown"
"""
TWO = """\
[node]
name = "coop-2"
data = "../data"
[tasks.nest]
schedule = "nest.toml"
models.a.bundle = "bundles/a"
models.b.bundle = "/somewhere/b"
[tasks.door]
schedule = "door.toml"
models.a.bundle = "bundles/a"
[cameras.box]
task = "nest"
source = "folder"
path = "pictures"
[cameras.yard]
task = "nest"
[cameras.yard.capture]
deadline_ms = 2000
"""


def two(folder: Path) -> Settings:
    (folder / "nest.toml").write_text(SCHEDULE, encoding="utf-8")
    (folder / "roost.toml").write_text(TWO, encoding="utf-8")
    return load(folder / "roost.toml")


def test_relative_paths_are_relative_to_the_file_and_absolute_ones_stay(tmp_path: Path) -> None:
    settings = two(tmp_path)
    nest = settings.tasks["nest"]
    assert nest.models["a"].bundle == str(tmp_path / "bundles" / "a")
    assert nest.models["b"].bundle == "/somewhere/b"
    assert settings.cameras["box"].path == str(tmp_path / "pictures")
    assert settings.layout.frames == tmp_path / ".." / "data" / "frames"


def test_a_camera_asks_within_the_sla_of_its_schedule_unless_told_otherwise(tmp_path: Path) -> None:
    settings = two(tmp_path)
    assert settings.cameras["box"].capture.deadline_ms == 3000
    assert settings.cameras["yard"].capture.deadline_ms == 2000


def test_a_missing_schedule_does_not_keep_the_other_roles_from_their_settings(tmp_path: Path) -> None:
    (tmp_path / "roost.toml").write_text(TWO, encoding="utf-8")
    assert load(tmp_path / "roost.toml").cameras["box"].capture.deadline_ms == 2000


def test_everything_a_role_keeps_has_a_place_of_its_own(tmp_path: Path) -> None:
    layout = two(tmp_path).layout
    places = [
        layout.frames,
        layout.archive("nest"),
        layout.archive("door"),
        layout.requests("box"),
        layout.journal("nest"),
    ]
    places += [layout.journal("door"), layout.outbox, layout.session("alerts"), layout.log("alerts"), layout.bundles]
    places += [layout.traces]
    assert len(set(places)) == len(places)
    assert all(layout.data in place.parents for place in places)


def test_consumers_are_planned_before_producers_and_each_task_has_its_own_roles(tmp_path: Path) -> None:
    assert [role.name for role in plan(two(tmp_path))] == [
        "rendezvous-nest",
        "rendezvous-door",
        "decoy-nest",
        "decoy-door",
        "monitor",
        "alerts",
        "desk",
        "model-nest-a",
        "model-nest-b",
        "model-door-a",
        "injector-nest",
        "injector-door",
        "capture-box",
        "capture-yard",
    ]


def test_cameras_stop_before_the_injector_and_the_injector_before_those_who_answer(tmp_path: Path) -> None:
    stages = {role.name: role.stage for role in plan(two(tmp_path))}
    assert stages["capture-box"] < stages["injector-nest"] < stages["rendezvous-nest"]
    assert stages["injector-nest"] < stages["decoy-nest"] < stages["alerts"]


def test_names_that_would_coincide_are_refused(tmp_path: Path) -> None:
    text = '[node]\nname = "n"\n[tasks.a]\nschedule = "s"\nmodels.y-z.bundle = "x"\n'
    text += '[tasks.a-y]\nschedule = "s"\nmodels.z.bundle = "x"\n'
    (tmp_path / "roost.toml").write_text(text, encoding="utf-8")
    with pytest.raises(Misuse, match="'model-a-y-z'"):
        plan(load(tmp_path / "roost.toml"))


def test_a_role_that_is_the_only_one_of_its_kind_needs_no_further_name(tmp_path: Path) -> None:
    assert resolve(two(tmp_path), "alerts") == RoleProcess("alerts")
    assert resolve(two(tmp_path), "capture", camera="box").name == "capture-box"
    assert resolve(two(tmp_path), "model", task="door").name == "model-door-a"


def test_an_ambiguous_role_is_refused_with_the_choices(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="capture --camera box; capture --camera yard"):
        resolve(two(tmp_path), "capture")


def test_a_role_the_settings_do_not_have_is_refused_with_those_they_have(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="They have: model --task nest --model a"):
        resolve(two(tmp_path), "model", model="c")


def test_the_arguments_of_every_role_lead_back_to_it(tmp_path: Path) -> None:
    settings = two(tmp_path)
    for role in plan(settings):
        kind, *words = role.arguments()
        named = dict(zip([word.removeprefix("--") for word in words[::2]], words[1::2], strict=True))
        assert resolve(settings, kind, **named) == role


def test_the_committed_schema_is_the_schema() -> None:
    assert (ROOT / "edge" / "settings.schema.json").read_text(encoding="utf-8") == settings_schema.text(), (
        "run: python -m roost_edge.settings.schema"
    )


@pytest.mark.parametrize("name", sorted(p.stem for p in EXAMPLES.glob("*.toml") if "schedule" not in p.stem))
def test_the_examples_load_and_satisfy_the_schema(name: str) -> None:
    import tomllib

    path = EXAMPLES / f"{name}.toml"
    load(path)
    jsonschema.validate(tomllib.loads(path.read_text(encoding="utf-8")), json.loads(settings_schema.text()))


def test_reading_settings_loads_no_heavy_library() -> None:
    script = (
        "import sys; from pathlib import Path; from roost_edge.settings.loading import load;"
        f"load(Path({str(EXAMPLES / 'henhouse.toml')!r}));"
        "print([m for m in ('numpy', 'cv2', 'PIL', 'sqlite_utils', 'typer', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_a_check_knows_a_quorum_from_a_model_and_finds_a_name_that_is_misspelt_wherever_it_stands(
    tmp_path: Path,
) -> None:
    (tmp_path / "nest.toml").write_text(
        'task = "nest"\nsla_ms = 3000\nignore = ["nobody"]\n[[step]]\nafter_ms = 0\naccept = ["jury"]\n'
        '[[step]]\nafter_ms = 9\naccept = ["jury", "a"]\n[rollout]\nbb = 0.1\n'
        '[quorum.jury]\nmembers = ["a", "b"]\nneed = 1\n[default]\nafter_ms = 2900\nlabel = "unknown"\n',
        encoding="utf-8",
    )
    (tmp_path / "roost.toml").write_text(
        '[node]\nname = "n"\n[tasks.nest]\nschedule = "nest.toml"\nmodels.a.bundle = "a"\nmodels.b.bundle = "b"\n',
        encoding="utf-8",
    )
    said = [one.problem for one in check(tmp_path / "roost.toml") if "schedule" in one.problem]
    assert said == ["the schedule names 'bb' ([rollout]), which is no model of this task."]
