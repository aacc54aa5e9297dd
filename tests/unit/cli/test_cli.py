"""Every command as its users meet it: a process with stdout, stderr and a status."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "edge" / "roost_edge" / "examples"
MAIN = "import sys; from roost_edge.cli import main; sys.exit(main())"


def roost(
    *arguments: object, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`roost ARGUMENTS …` with neither terminal nor settings of the caller."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ROOST_")}
    return subprocess.run(
        [sys.executable, "-c", MAIN, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**clean, "COLUMNS": "200", **(env or {})},
        timeout=120,
        check=False,
    )


def answer(done: subprocess.CompletedProcess[str], status: int = 0) -> dict[str, object]:
    """The one JSON object on stdout."""
    assert done.returncode == status, done.stderr
    value = json.loads(done.stdout)
    assert isinstance(value, dict)
    return value


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "brightness"
    done = roost("bundle", "new", folder, "--name", "brightness", "--task", "henhouse", "--json")
    assert answer(done)["name"] == "brightness"
    return folder


@pytest.fixture
def settings(tmp_path: Path, bundle: Path) -> Path:
    text = f"""\
[node]
name = "coop-1"
[broker]
username = "hen"
password = "very secret"
[tasks.henhouse]
schedule = "schedule.toml"
models.brightness.bundle = "{bundle}"
[cameras.nest]
task = "henhouse"
source = "opencv"
url = "rtsp://me:hidden@camera.local/stream"
"""
    schedule = (EXAMPLES / "henhouse-schedule.toml").read_text(encoding="utf-8").replace("champion", "brightness")
    (tmp_path / "schedule.toml").write_text(schedule, encoding="utf-8")
    path = tmp_path / "roost.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("arguments", [(), ("config",), ("bundle",), ("schedule",), ("up",), ("decide",), ("replay",)])
def test_help_is_there_for_every_command_and_documents_the_status(arguments: tuple[str, ...]) -> None:
    done = roost(*arguments, "--help")
    assert done.returncode == 0
    assert "Usage: " in done.stdout
    if arguments in ((), ("up",), ("decide",), ("replay",)):
        assert "Exit status: 0 done" in " ".join(done.stdout.split())


def test_help_of_run_and_demo_is_that_of_what_they_become() -> None:
    assert "--camera" in roost("run", "--help").stdout
    assert "--fault" in roost("demo", "--help").stdout


def test_the_command_line_loads_no_heavy_library_before_a_command_needs_it() -> None:
    script = (
        "import sys, roost_edge.cli;"
        "print([m for m in ('numpy', 'cv2', 'PIL', 'rich', 'sqlite_utils', 'paho')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_version() -> None:
    assert answer(roost("version", "--json"))["python"] == ".".join(map(str, sys.version_info[:3]))
    assert roost("version").stdout.startswith("roost ")


def test_version_is_an_option_too() -> None:
    assert roost("--version").stdout == roost("version").stdout


@pytest.mark.parametrize(
    "group",
    [
        (),
        *(
            (name,)
            for name in ("bundle", "broker", "config", "enrol", "units", "state", "rollout", "registry", "fleet")
        ),
    ],
)
def test_the_lists_of_commands_cut_no_sentence_off_and_h_is_help(group: tuple[str, ...]) -> None:
    done = roost(*group, "-h", env={"COLUMNS": "80"})
    assert done.returncode == 0
    assert "..." not in done.stdout.split("Commands:")[1]
    assert done.stdout == roost(*group, "--help", env={"COLUMNS": "80"}).stdout


def test_an_unknown_command_is_misuse() -> None:
    done = roost("confg")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "confg" in done.stderr


def test_config_check_says_yes_and_a_warning_does_not_say_no(settings: Path) -> None:
    found = answer(roost("config", "check", settings, "--json"))
    assert found["ok"] is True
    assert isinstance(found["findings"], list)
    fields = [finding["field"] for finding in found["findings"]]
    assert fields == ["tasks.henhouse.schedule"]  # it accepts `fast`, which is no model here


def test_config_check_says_no_with_line_and_remedy(settings: Path, tmp_path: Path) -> None:
    settings.write_text(settings.read_text().replace("[broker]", "[broker]\nprot = 1"), encoding="utf-8")
    found = answer(roost("config", "check", settings, "--json"), status=1)
    assert found["findings"] == [
        {
            "level": "error",
            "line": 4,
            "field": "broker.prot",
            "problem": "there is no such setting.",
            "remedy": "Did you mean `port`?",
        }
    ]
    people = roost("config", "check", settings)
    assert people.returncode == 1
    assert f"{settings}:4: error: broker.prot: there is no such setting.\n    → Did you mean `port`?" in people.stdout


def test_config_check_opens_what_the_settings_name(settings: Path, tmp_path: Path) -> None:
    text = settings.read_text(encoding="utf-8")
    text += '[cameras.film]\ntask = "henhouse"\nsource = "video"\npath = "none.mp4"\n'
    text = text.replace("models.brightness.bundle", 'models.gone.bundle = "nowhere"\nmodels.brightness.bundle')
    text = text.replace('name = "coop-1"', 'name = "coop-1"\ndata = "/proc/roost"')
    settings.write_text(text, encoding="utf-8")
    (tmp_path / "schedule.toml").write_text('task = "other"\n', encoding="utf-8")
    settings.chmod(0o644)
    findings = answer(roost("config", "check", settings, "--json"), status=1)["findings"]
    assert isinstance(findings, list)
    found = {finding["field"]: (finding["level"], finding["line"]) for finding in findings}
    assert found["node.data"] == ("error", 3)
    assert found["broker.password"] == ("warning", 6)
    assert found["tasks.henhouse.schedule"] == ("error", 8)
    assert found["tasks.henhouse.models.gone.bundle"] == ("error", 9)
    assert found["cameras.film.path"][0] == "error"
    assert all(finding["remedy"] for finding in findings)


def test_config_check_of_a_schedule_for_another_task_says_no(settings: Path, tmp_path: Path) -> None:
    schedule = tmp_path / "schedule.toml"
    schedule.write_text(schedule.read_text().replace('task = "henhouse"', 'task = "door"'), encoding="utf-8")
    findings = answer(roost("config", "check", settings, "--json"), status=1)["findings"]
    assert isinstance(findings, list)
    assert "is for the task 'door'" in findings[0]["problem"]


def test_config_show_gives_defaults_and_no_secret(settings: Path) -> None:
    done = roost("config", "show", settings, "--json")
    shown = answer(done)
    assert shown["archive"]
    for text in (done.stdout, roost("config", "show", settings).stdout):
        assert "very secret" not in text
        assert "hidden" not in text
        assert "camera.local" in text


def test_config_show_prints_settings_that_load_again(settings: Path, tmp_path: Path) -> None:
    (tmp_path / "again.toml").write_text(roost("config", "show", settings).stdout, encoding="utf-8")
    assert answer(roost("config", "show", tmp_path / "again.toml", "--json")) == answer(
        roost("config", "show", settings, "--json")
    )


def test_config_takes_the_file_from_the_environment_and_else_from_the_folder(settings: Path, tmp_path: Path) -> None:
    by_environment = roost("config", "show", "--json", cwd=Path("/"), env={"ROOST_SETTINGS": str(settings)})
    assert answer(by_environment) == answer(roost("config", "show", "--json", cwd=tmp_path))


def test_config_schema_is_the_committed_one() -> None:
    assert roost("config", "schema").stdout == (ROOT / "edge" / "settings.schema.json").read_text(encoding="utf-8")


def test_config_example_prints_one_that_loads(tmp_path: Path) -> None:
    assert roost("config", "example", "--list").stdout.split() == ["henhouse", "henhouse-schedule", "two-tasks"]
    path = tmp_path / "roost.toml"
    path.write_text(roost("config", "example").stdout, encoding="utf-8")
    node = answer(roost("config", "show", path, "--json"))["node"]
    assert isinstance(node, dict)
    assert node["name"] == "coop-1"
    wrong = roost("config", "example", "goose")
    assert wrong.returncode == 2
    assert "henhouse" in wrong.stderr


def test_schedule_check_explains_in_sentences() -> None:
    file = EXAMPLES / "henhouse-schedule.toml"
    assert "the promise (SLA) is 2000 ms" in roost("schedule", "check", file).stdout
    found = answer(roost("schedule", "check", file, "--json"))
    assert found["ok"] is True
    assert found["explanation"]


def test_schedule_check_of_a_bad_one_fails_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text('task = "x"\n', encoding="utf-8")
    done = roost("schedule", "check", path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "  → " in done.stderr
    assert answer(roost("schedule", "check", path, "--json"), status=1)["remedy"]


def test_bundle_check_show_and_pack_of_a_new_one(bundle: Path, tmp_path: Path) -> None:
    checked = answer(roost("bundle", "check", bundle, "--json"))
    assert checked["ok"] is True
    shown = answer(roost("bundle", "show", bundle, "--json"))
    assert shown["digest"] == checked["digest"]
    assert "brightness" in roost("bundle", "show", bundle).stdout
    packed = tmp_path / "b.roost"
    assert answer(roost("bundle", "pack", bundle, "-o", packed, "--json"))["digest"] == checked["digest"]
    again = roost("bundle", "check", packed, "--json", env={"XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert answer(again)["digest"] == checked["digest"]


def test_bundle_check_of_an_altered_one_says_no(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    assert roost("bundle", "new", folder, "--name", "b", "--task", "t").returncode == 0
    (folder / "model.py").write_text("def predict(image, context):\n    return {}\n", encoding="utf-8")
    done = roost("bundle", "check", folder)
    assert done.returncode == 1
    assert "model.py" in done.stdout
    assert answer(roost("bundle", "check", folder, "--json"), status=1)["ok"] is False
    assert roost("bundle", "pack", "--goldens", folder).returncode == 2


def test_bundle_import_refuses_what_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"no model at all")
    (tmp_path / "l.txt").write_text("a\nb\n", encoding="utf-8")
    done = roost(
        *("bundle", "import", tmp_path / "m.tflite", tmp_path / "l.txt", tmp_path / "out", "--name", "m", "--task", "t")
    )
    assert done.returncode in (1, 2)
    assert "  → " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def picture(path: Path, brightness: int) -> Path:
    Image.fromarray(np.full((48, 64, 3), brightness, dtype=np.uint8)).save(path)
    return path


def test_decide_prints_the_best_with_bars_and_the_messages_as_json(bundle: Path, tmp_path: Path) -> None:
    bright = picture(tmp_path / "bright.png", 250)
    lines = roost("decide", bright, "--bundle", bundle).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["bright", "dark"]
    assert "█" in lines[0]
    found = answer(roost("decide", bright, "--bundle", bundle, "--json"))
    assert set(found) == {"request", "score", "result"}
    result = found["result"]
    assert isinstance(result, dict)
    assert result["schema"] == "roost.result/1"
    assert result["answer"]["label"] == "bright"


def test_decide_about_what_is_no_picture_says_so_without_a_trace(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "p.jpg"
    path.write_bytes(b"no picture")
    done = roost("decide", path, "--bundle", bundle)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert roost("decide", tmp_path / "none.jpg", "--bundle", bundle).returncode == 2


def test_decide_with_a_model_that_answers_nan_blames_the_model(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    assert roost("bundle", "new", folder, "--name", "b", "--task", "t").returncode == 0
    source = "def predict(image, context):\n    return {'bright': float('nan')}\n"
    (folder / "model.py").write_text(source, encoding="utf-8")
    assert roost("bundle", "pack", "--seal", "-o", tmp_path / "b.roost", folder).returncode == 0
    done = roost("decide", picture(tmp_path / "p.png", 9), "--bundle", folder)
    assert done.returncode == 1
    assert "Model b 0.1.0 cannot answer: ValueError: predict returned nan for 'bright'." in done.stderr
    assert "  → Correct the model." in done.stderr


def test_the_trace_is_there_for_those_who_ask(bundle: Path, tmp_path: Path) -> None:
    done = roost("decide", tmp_path / "none.jpg", "--bundle", bundle, env={"ROOST_DEBUG": "1"})
    assert "Traceback" in done.stderr


def test_replay_of_an_archive_that_is_not_there_says_what_to_name(bundle: Path, tmp_path: Path) -> None:
    done = roost("replay", tmp_path / "none", "--bundle", bundle)
    assert done.returncode in (1, 2)
    assert "  → " in done.stderr
    assert not (tmp_path / "none").exists()


def test_run_becomes_the_daemon_and_reports_bad_settings_as_misuse(tmp_path: Path) -> None:
    done = roost("run", "decoy", cwd=tmp_path)
    assert done.returncode == 2
    assert "roost.toml cannot be read" in json.loads(done.stderr)["message"]


def test_up_without_a_broker_names_the_next_step_and_starts_nothing(settings: Path, tmp_path: Path) -> None:
    text = settings.read_text(encoding="utf-8").replace("[broker]", "[broker]\nport = 1\nconnect_timeout_s = 1")
    settings.write_text(text, encoding="utf-8")
    done = roost("up", "--settings", settings)
    assert done.returncode == 1
    assert done.stderr.startswith("roost: No broker answers at 127.0.0.1:1.\n  → ")
    systemd = Path("/run/systemd/system").is_dir()
    assert ("start mosquitto)" if systemd else "mosquitto -d -p 1)") in done.stderr
    assert "ended" not in done.stderr
    assert not (tmp_path / "roost-data" / "logs").exists()
