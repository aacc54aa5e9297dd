"""`roost schedule` on a device that is switched off: what the rendezvous has written down is enough."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from roost_broker.errors import PeerError
from roost_broker.messages import ModelOutcome
from roost_edge.cli.app import app
from roost_rendezvous import schedule as schedules
from roost_rendezvous.server.attainment import ENOUGH, Attainment
from roost_rendezvous.server.schedule_history import Entry, ScheduleHistory

SCHEDULE = """
task = "nest"
sla_ms = 2000
[[step]]
after_ms = 0
accept = ["champion"]
[default]
after_ms = 1900
label = "unknown"
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    (tmp_path / "nest.toml").write_text(SCHEDULE, encoding="utf-8")
    path = tmp_path / "roost.toml"
    path.write_text(
        '[node]\nname = "coop-1"\ndata = "data"\n[broker]\nport = 9\nconnect_timeout_s = 1\n'
        '[tasks.nest]\nschedule = "nest.toml"\nmodels.champion.bundle = "champion"\n',
        encoding="utf-8",
    )
    return path


def journal(settings: Path) -> Path:
    return settings.parent / "data" / "journal" / "nest"


def was_in_force(settings: Path, *labels: str) -> list[str]:
    """Schedules that differ by the label of their default; returns their versions."""
    history, versions = ScheduleHistory(journal(settings)), []
    for number, label in enumerate(labels):
        loose = schedules.to_object(schedules.load(settings.parent / "nest.toml"))
        agreed = schedules.parse({**loose, "default": {"after_ms": 1900, "label": label}})
        versions.append(agreed.version)
        history.add(
            Entry(
                at=1_800_000_000_000 + number, version=agreed.version, schedule=schedules.to_object(agreed),
                author="ann", why=f"label {label}", message_id=f"{number:032x}", totals={"requests": 10 * number},
            )
        )  # fmt: skip
    return versions


def roost(*words: str) -> Any:
    return CliRunner().invoke(app, ["schedule", *words])


def test_the_history_is_listed_and_given_as_json(settings: Path) -> None:
    versions = was_in_force(settings, "unknown", "nothing")
    listed = roost("history", "--settings", str(settings)).stdout.splitlines()
    assert len(listed) == 3
    assert all(version in line for version, line in zip(versions, listed[1:], strict=True))
    assert "10" in listed[1]
    assert "label nothing" in listed[2]
    found = json.loads(roost("history", "--settings", str(settings), "--json").stdout)
    assert [one["entry"]["version"] for one in found] == versions
    assert found[0]["counts"] == {"requests": 10}


def test_an_answer_to_a_request_from_before_a_change_is_not_shown_as_one_of_no_requests(settings: Path) -> None:
    was_in_force(settings, "unknown")
    counts = Counter(requests=0, default=1)
    attainment = Attainment(journal(settings), counts)
    attainment.close()
    header, row = roost("history", "--settings", str(settings)).stdout.splitlines()
    arrived, given = header.index("arrived"), header.index("given meanwhile")
    assert row[arrived:given].strip() == "0"
    assert row[given:].startswith("1 default ")


def test_a_history_that_is_empty_says_so_and_lists_nothing(settings: Path) -> None:
    done = roost("history", "--settings", str(settings))
    assert done.exit_code == 0
    assert done.stdout == ""
    assert json.loads(roost("history", "--settings", str(settings), "--json").stdout) == []


@pytest.mark.parametrize(("labels", "said"), [((), "ever in force"), (("unknown",), "it is the first")])
def test_a_roll_back_with_nowhere_to_go_says_so_without_asking_any_broker(
    settings: Path, labels: tuple[str, ...], said: str
) -> None:
    was_in_force(settings, *labels)
    error = roost("rollback", "--settings", str(settings)).exception
    assert isinstance(error, PeerError)  # status 1: see `cli.output.complain`
    assert said in error.problem


def test_without_a_broker_show_tells_what_was_written_down_last(settings: Path) -> None:
    versions = was_in_force(settings, "unknown", "nothing")
    shown = json.loads(roost("show", "--settings", str(settings), "--json").stdout)
    assert (shown["version"], shown["rendezvous"], shown["why"]) == (versions[1], "unreachable", "label nothing")
    assert shown["timeline"]


def test_what_a_stranger_wrote_into_a_schedule_does_not_command_the_terminal(settings: Path) -> None:
    was_in_force(settings, "\x1b[2Jgone")
    for command in ("show", "history"):
        shown = roost(command, "--settings", str(settings)).stdout
        assert "gone" in shown
        assert "\x1b" not in shown


def test_check_warns_of_what_the_device_knows_and_only_when_it_is_asked(settings: Path) -> None:
    attainment = Attainment(journal(settings), Counter())
    slow = ModelOutcome(model="champion", version="1", status="answered", elapsed_ms=5000.0)
    attainment.take([slow] * ENOUGH)
    attainment.close()
    file = str(settings.parent / "nest.toml")
    assert json.loads(roost("check", file, "--json").stdout)["warnings"] == []
    (warning,) = json.loads(roost("check", file, "--settings", str(settings), "--json").stdout)["warnings"]
    assert "champion's, after 5000 ms" in warning
    told = roost("check", file, "--settings", str(settings))
    assert told.exit_code == 0  # a warning is no refusal
    assert "warning: " in told.stderr


def test_check_asks_whether_a_misspelt_model_was_meant_to_be_one_of_the_settings(settings: Path) -> None:
    file = settings.parent / "wrong.toml"
    file.write_text(SCHEDULE.replace('"champion"', '"champoin"'), encoding="utf-8")
    told = roost("check", str(file), "--settings", str(settings))  # no broker answers: the settings are enough
    assert told.exit_code == 0
    assert "warning: The task nest has no model champoin" in told.stderr
    assert "Did you mean champion?" in told.stderr
    assert "every request gets the default" in told.stderr
    assert json.loads(roost("check", str(file), "--json").stdout)["warnings"] == []


def test_check_warns_of_a_model_that_is_sampled_and_never_official_whatever_the_device(settings: Path) -> None:
    file = settings.parent / "sampled.toml"
    file.write_text(SCHEDULE + "[sample]\nshadow = 0.01\n", encoding="utf-8")
    (warning,) = json.loads(roost("check", str(file), "--json").stdout)["warnings"]
    assert "shadow can never be official" in warning


def test_applying_what_is_no_schedule_ends_with_status_1_as_checking_it_does(settings: Path) -> None:
    file = settings.parent / "bad.toml"
    file.write_text('task = "nest"\n', encoding="utf-8")
    assert roost("check", str(file)).exit_code == 1
    told = roost("apply", str(file), "--settings", str(settings))
    assert told.exit_code == 1
    assert "  → " in told.stderr
    assert told.stdout == ""
    said = roost("apply", str(file), "--settings", str(settings), "--json")
    assert said.exit_code == 1
    assert json.loads(said.stdout)["outcome"] == "refused"
