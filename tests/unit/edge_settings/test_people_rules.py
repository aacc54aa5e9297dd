"""Rules, notifications and Home Assistant: what does not go together is said, with the remedy."""

from pathlib import Path

import pytest

from roost_broker.errors import Misuse
from roost_edge.broker_setup.users import users
from roost_edge.processes.plan import plan
from roost_edge.settings import loading

BASE = """
[node]
name = "coop-1"
[broker]
passwords = "passwords"
[tasks.nest]
schedule = "s.toml"
[cameras.box]
task = "nest"
"""


def load(folder: Path, text: str) -> object:
    (folder / "roost.toml").write_text(BASE + text, encoding="utf-8")
    return loading.load(folder / "roost.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[alerts.rules.a]\ncameras = ["yard"]\n', "there is no 'yard'"),
        ('[alerts.rules.a]\ntasks = ["door"]\n', "there is no 'door'"),
        ('[alerts.rules."a b"]\n', "cannot be the name of a rule"),
        ('[alerts.rules.a]\nabsent_by = "24:00"\n', "no time of the day"),
        ('[notify]\nurls = "u"\n', "no rule would give out"),
        ('[notify]\nurls = "u"\nrules = ["b"]\n[alerts.rules.a]\n', "there is no rule 'b'"),
        ("[mosquitto.programs.home]\nhome_assistant = true\n", "not announced to it"),
        ('[mosquitto.outside]\nhome_assistants = ["home"]\n', "not announced to them"),
        ('[mosquitto.outside]\nwatchers = ["h"]\nhome_assistants = ["h"]\n[discovery]\n', "both a watcher and"),
    ],
)
def test_what_does_not_go_together_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Misuse, match=said):
        load(tmp_path, text)


def test_notifications_are_a_role_of_their_own_where_they_are_wanted(tmp_path: Path) -> None:
    plain = loading.load(_written(tmp_path, ""))
    wanted = loading.load(_written(tmp_path, '[notify]\nurls = "u"\n[alerts.rules.a]\n'))
    assert {role.name for role in plan(wanted)} - {role.name for role in plan(plain)} == {"notify"}
    assert wanted.notify is not None
    assert wanted.notify.urls == str(tmp_path / "u")


def test_a_home_assistant_on_another_machine_has_the_rights_of_one_on_this_machine(tmp_path: Path) -> None:
    text = (
        '[discovery]\n[mosquitto.programs.home]\nhome_assistant = true\n[mosquitto.outside]\nhome_assistants = ["x"]\n'
    )
    found = users(loading.load(_written(tmp_path, text)))
    assert found.outside["watcher:x"] == found.roles["home"]
    assert len(found.roles["home"]) > 15


def _written(folder: Path, text: str) -> Path:
    (folder / "roost.toml").write_text(BASE + text, encoding="utf-8")
    return folder / "roost.toml"
