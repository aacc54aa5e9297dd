"""Secrets and as whom a process connects."""

import shutil
import subprocess
from pathlib import Path

import pytest

from roost_broker.credentials import as_operator, as_user
from roost_broker.errors import Misuse
from roost_broker.mqtt import MqttBus
from roost_broker.passwords import hashed, is_hash_of, new_secret, password_file
from roost_broker.settings import BrokerSettings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    for name in ("monitor", "operator", "rendezvous-nest"):
        (tmp_path / name).write_text(f"secret-of-{name}\n", encoding="ascii")
    return tmp_path


def test_a_role_comes_as_itself_with_its_own_secret(folder: Path) -> None:
    settings = BrokerSettings(passwords=str(folder))
    found = as_user(settings, "monitor")
    assert (found.username, found.password, found.port, found.passwords) == ("monitor", "secret-of-monitor", 1883, "")


def test_a_second_session_has_a_name_of_its_own_and_the_roles_secret(folder: Path) -> None:
    role = "rendezvous-nest"
    found = as_user(BrokerSettings(passwords=str(folder)), f"{role}.scores", secret_of=role)
    assert (found.username, found.password) == ("rendezvous-nest.scores", "secret-of-rendezvous-nest")


@pytest.mark.parametrize(("given", "port"), [({}, 1884), ({"operators_port": 2000}, 2000), ({"port": 5}, 6)])
def test_an_operator_comes_to_a_port_of_his_own(folder: Path, given: dict[str, int], port: int) -> None:
    found = as_operator(BrokerSettings(passwords=str(folder), **given))  # type: ignore[arg-type]  # ports
    assert (found.username, found.password, found.port) == ("operator", "secret-of-operator", port)


def test_what_systemd_gives_comes_before_the_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = tmp_path / "given"
    given.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(given))
    settings = BrokerSettings(passwords=str(folder))
    elsewhere = BrokerSettings(passwords="/nowhere")
    assert as_user(settings, "monitor").password == f"secret-of-{'monitor'}"
    (given / "mqtt").write_text("by-systemd\n", encoding="ascii")
    assert {as_user(one, "monitor").password for one in (settings, elsewhere)} == {"by-systemd"}


def test_roles_that_share_a_process_find_each_its_own_secret_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    for name in ("mqtt-monitor", "mqtt-alerts", "mqtt"):
        (tmp_path / name).write_text(f"{name}-secret\n", encoding="ascii")
    settings = BrokerSettings(passwords="/nowhere")
    assert as_user(settings, "monitor").password == "mqtt-monitor-secret"  # noqa: S105  # not one
    assert as_user(settings, "alerts.events", secret_of="alerts").password == "mqtt-alerts-secret"  # noqa: S105, S106  # as above


def test_without_passwords_nothing_changes() -> None:
    settings = BrokerSettings(username="me")
    assert as_user(settings, "monitor") is settings
    assert as_operator(settings) == settings


def test_a_secret_that_is_missing_or_empty_is_told_with_the_next_step(folder: Path) -> None:
    settings = BrokerSettings(passwords=str(folder))
    with pytest.raises(Misuse, match=r"password in .*/decoy cannot be read: No such file.*roost broker setup"):
        as_user(settings, "decoy")
    (folder / "decoy").write_text("\n", encoding="ascii")
    with pytest.raises(Misuse, match="holds no password"):
        as_user(settings, "decoy")


def test_a_bus_that_was_not_told_as_whom_to_come_is_a_defect_and_not_an_anonymous_attempt(folder: Path) -> None:
    with pytest.raises(Misuse, match="as which user"):
        MqttBus(BrokerSettings(passwords=str(folder)), "x")


@pytest.mark.parametrize(
    "wrong",
    [
        {"passwords": "p", "username": "me"},
        {"passwords": "p", "operators_port": 1883},
        {"passwords": "p", "port": 65_535},
        {"certificate": "c", "ca": "a"},
        {"key": "k", "ca": "a"},
        {"certificate": "c", "key": "k"},
        {"server_name": "coop-1"},
        {"ca": "a\0"},
    ],
)
def test_settings_that_contradict_each_other_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(Misuse, match="broker"):
        BrokerSettings(**wrong)  # type: ignore[arg-type]  # that is the test


def test_hashes_are_kept_while_they_are_right_and_made_anew_when_not() -> None:
    first = password_file({"b": "two", "a": "one"}, "")
    assert [line.split(":")[0] for line in first.splitlines()] == ["a", "b"]
    assert password_file({"a": "one", "b": "two"}, first) == first
    changed = password_file({"a": "other", "b": "two", "c": "three"}, first + "stranger:$7$101$x$y\nrubbish\n")
    before, after = (dict(line.split(":", 1) for line in text.splitlines()) for text in (first, changed))
    assert after.keys() == {"a", "b", "c"}
    assert after["b"] == before["b"]
    assert after["a"] != before["a"]
    assert "one" not in first


@pytest.mark.parametrize(
    "text", ["", "$7$101$", "$6$101$AAAA$AAAA", "$7$x$AAAA$AAAA", "$7$101$*$AAAA", "$7$1$AAAA$AAAA"]
)
def test_what_is_no_hash_of_ours_is_the_hash_of_nothing(text: str) -> None:
    assert not is_hash_of("secret", text)


def test_secrets_are_long_and_no_two_are_alike() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert min(map(len, made)) >= 43


@pytest.mark.skipif(shutil.which("mosquitto_passwd") is None, reason="Mosquitto's own tool is not installed")
def test_a_hash_that_mosquittos_own_tool_makes_is_one_of_ours(tmp_path: Path) -> None:
    file = tmp_path / "passwd"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(file), "me", "secret"], check=True, capture_output=True)
    theirs = file.read_text(encoding="ascii").strip().split(":", 1)[1]
    assert is_hash_of("secret", theirs)
    assert not is_hash_of("other", theirs)
    assert hashed("secret", b"salt").startswith("$7$101$")
