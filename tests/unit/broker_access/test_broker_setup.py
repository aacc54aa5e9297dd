"""`roost broker setup` on a folder that stands for a device's file system."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from roost_broker.errors import Misuse
from roost_edge.broker_setup.following import follow
from roost_edge.broker_setup.setting_up import BrokerSetup, Outcome
from roost_edge.broker_setup.users import users
from roost_edge.settings import loading
from roost_edge.settings.check import check
from roost_edge.settings.device import Settings

SETTINGS = """
[node]
name = "coop-1"
data = "/var/lib/roost"
[broker]
passwords = "/etc/roost/broker/passwords"
[tasks.nest]
schedule = "nest.toml"
models.champion.bundle = "b"
[cameras.yard]
task = "nest"
source = "synthetic"
"""
CONF, DROP_IN = "/etc/mosquitto/roost/roost.conf", "/etc/systemd/system/mosquitto.service.d/30-roost-broker.conf"
FILES = [
    CONF,
    *(f"/etc/mosquitto/roost/{name}" for name in ("roles.acl", "operators.acl", "outside.acl")),
    *(f"/etc/mosquitto/roost/{name}" for name in ("roles.passwd", "operators.passwd")),
    DROP_IN,
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    (made / "etc").mkdir(parents=True)
    own = f"mosquitto:x:{os.getuid()}:{os.getgid()}::/:/bin/false\n"
    (made / "etc" / "passwd").write_text(f"root:x:0:0::/:/bin/sh\n{own}", encoding="ascii")
    return made


def device(tmp_path: Path, more: str = "") -> Settings:
    path = tmp_path / "roost.toml"
    path.write_text(SETTINGS + more, encoding="utf-8")
    return loading.load(path)


def everything(root: Path) -> dict[str, tuple[bytes, int]]:
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()}


def test_a_second_time_changes_nothing_and_a_check_never_does(tmp_path: Path, root: Path) -> None:
    setup = BrokerSetup(device(tmp_path), root)
    before = everything(root)
    would = setup.run(check=True)
    assert everything(root) == before
    done = setup.run()
    assert (done.made, done.written, done.follow) == (would.made, would.written, "restart")
    assert list(done.written) == FILES
    assert "model-nest-champion" in done.made
    after = everything(root)
    again = setup.run()
    assert not again.changed
    assert again.follow == "nothing"
    assert everything(root) == after


def test_secrets_are_one_to_a_file_for_root_alone_and_in_no_other_file(tmp_path: Path, root: Path) -> None:
    BrokerSetup(device(tmp_path), root).run()
    folder = root / "etc/roost/broker/passwords"
    secrets = {path.name: path.read_text(encoding="ascii").strip() for path in folder.iterdir()}
    assert secrets.keys() >= {"operator", "watcher", "monitor", "rendezvous-nest", "rendezvous-nest-b", "capture-yard"}
    assert not any("." in name for name in secrets)  # second sessions share their role's
    assert len(set(secrets.values())) == len(secrets)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert {stat.S_IMODE(one.stat().st_mode) for one in (folder, folder.parent)} == {0o700}
    others = b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file() and path.parent != folder)
    assert not [name for name, secret in secrets.items() if secret.encode() in others]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (root / "etc/mosquitto/roost").iterdir()}
    assert set(modes.values()) == {0o640}
    assert stat.S_IMODE((root / "var/lib/roost/mosquitto").stat().st_mode) == 0o700


def test_what_is_printed_and_told_holds_no_secret(tmp_path: Path, root: Path) -> None:
    setup = BrokerSetup(device(tmp_path), root)
    told = repr(setup.run())
    shown = "".join(file.text for file in setup.render())
    folder = root / "etc/roost/broker/passwords"
    for path in folder.iterdir():
        assert path.read_text(encoding="ascii").strip() not in told + shown
    assert "$7$" not in shown
    assert "listener 1883 127.0.0.1" in shown


def test_a_role_that_comes_and_one_that_goes_need_a_reload_and_no_restart(tmp_path: Path, root: Path) -> None:
    BrokerSetup(device(tmp_path), root).run()
    secret = root / "etc/roost/broker/passwords/monitor"
    kept = secret.read_bytes()
    more = BrokerSetup(device(tmp_path, "[tasks.nest.models.fast]\nbundle = 'b'\n"), root).run()
    assert (more.made, more.removed, more.follow) == (("model-nest-fast",), (), "reload")
    less = BrokerSetup(device(tmp_path), root).run()
    assert (less.made, less.removed, less.follow) == ((), ("model-nest-fast",), "reload")
    assert not (secret.parent / "model-nest-fast").exists()
    assert secret.read_bytes() == kept


def test_another_port_needs_a_restart(tmp_path: Path, root: Path) -> None:
    BrokerSetup(device(tmp_path), root).run()
    done = BrokerSetup(device(tmp_path, "[mosquitto]\nmax_connections = 7\n"), root).run()
    assert (done.written, done.follow) == ((CONF,), "restart")


def test_files_that_somebody_opened_to_others_are_closed_again(tmp_path: Path, root: Path) -> None:
    setup = BrokerSetup(device(tmp_path), root)
    setup.run()
    (root / "etc/mosquitto/roost/roles.passwd").chmod(0o644)
    assert setup.run().written == ("/etc/mosquitto/roost/roles.passwd",)
    assert not setup.run().changed


def identity(root: Path, *names: str) -> None:
    folder = root / "var/lib/roost/identity"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("", encoding="ascii")


def test_other_machines_come_in_as_soon_as_there_is_an_identity_and_not_before(tmp_path: Path, root: Path) -> None:
    setup = BrokerSetup(device(tmp_path), root)
    done = setup.run()
    assert (done.outside, done.missing) == ("", ("ca.pem", "device.pem", "device.key", "crl.pem"))
    identity(root, "ca.pem", "device.pem", "device.key")
    assert setup.run().missing == ("crl.pem",)  # who was revoked must be known
    identity(root, "crl.pem")
    done = setup.run()
    assert (done.outside, done.missing, done.follow) == ("0.0.0.0:8883", (), "restart")
    text = (root / CONF[1:]).read_text(encoding="utf-8")
    for line in ("tls_version tlsv1.3", "require_certificate true", "crlfile /run/roost-identity/crl.pem"):
        assert line in text.splitlines()
    assert "BindReadOnlyPaths=/var/lib/roost/identity:/run/roost-identity" in (root / DROP_IN[1:]).read_text()


def test_switched_off_there_is_no_outside_and_switched_on_there_must_be(tmp_path: Path, root: Path) -> None:
    on = BrokerSetup(device(tmp_path, '[mosquitto.outside]\nenabled = "on"\n'), root)
    with pytest.raises(Misuse, match=r"lacks ca\.pem, device\.pem, device\.key, crl\.pem"):
        on.run()
    identity(root, "ca.pem", "device.pem", "device.key", "crl.pem")
    assert on.run().outside
    off = BrokerSetup(device(tmp_path, '[mosquitto.outside]\nenabled = "off"\n'), root).run()
    assert (off.outside, off.missing) == ("", ())
    assert "8883" not in (root / CONF[1:]).read_text(encoding="utf-8")


def test_no_listener_lets_anybody_in_without_a_name(tmp_path: Path, root: Path) -> None:
    identity(root, "ca.pem", "device.pem", "device.key", "crl.pem")
    BrokerSetup(device(tmp_path), root).run()
    lines = (root / CONF[1:]).read_text(encoding="utf-8").splitlines()
    listeners = [line for line in lines if line.startswith("listener ")]
    assert listeners == ["listener 1883 127.0.0.1", "listener 1884 127.0.0.1", "listener 8883 0.0.0.0"]
    assert lines.count("allow_anonymous false") == len(listeners)
    assert "allow_anonymous true" not in lines
    assert sum(line.startswith("acl_file ") for line in lines) == len(listeners)


def test_settings_without_a_place_for_passwords_and_a_system_without_mosquitto_are_told_what_to_do(
    tmp_path: Path, root: Path
) -> None:
    path = tmp_path / "open.toml"
    path.write_text('[node]\nname = "coop-1"\n', encoding="utf-8")
    with pytest.raises(Misuse, match="Write `passwords = "):
        BrokerSetup(loading.load(path), root).run()
    if os.geteuid() == 0:
        (root / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\n", encoding="ascii")
        with pytest.raises(Misuse, match="no user mosquitto"):
            BrokerSetup(device(tmp_path), root).run()


def test_two_users_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("monitor", "operator", "watcher"):
        with pytest.raises(Misuse, match=f"'{name}'"):
            users(device(tmp_path, f"[mosquitto.programs.{name}]\n"))


def test_a_check_of_the_settings_tells_that_the_passwords_are_not_there_yet(tmp_path: Path) -> None:
    device(tmp_path, "[mosquitto.programs.zigbee]\nwrite = ['roost/#']\n")
    found = {(one.level, one.field) for one in check(tmp_path / "roost.toml")}
    assert ("warning", "broker.passwords") in found
    assert ("error", "mosquitto") in found


def test_a_check_of_the_settings_warns_of_a_password_that_would_go_over_the_network_in_the_clear(
    tmp_path: Path,
) -> None:
    path = tmp_path / "roost.toml"
    fields = []
    for broker in ('host = "coop-1.local"', 'host = "localhost"', 'host = "coop-1.local"\nca = "ca.pem"'):
        path.write_text(
            f'[node]\nname = "desk"\n[broker]\nusername = "me"\npassword = "x"\n{broker}\n', encoding="utf-8"
        )
        fields.append({(one.level, one.field) for one in check(path) if one.field.startswith("broker")})
    assert [("warning", "broker.host") in found for found in fields] == [True, False, False]
    assert ("warning", "broker.ca") in fields[2]  # there is no such file


def test_what_is_left_to_do_is_said_where_nothing_runs() -> None:
    assert follow(Outcome(), running=True) == ""
    assert "restart" in follow(Outcome(follow="restart"), running=False)


def test_the_command_tells_what_it_did_and_a_check_says_by_its_status(tmp_path: Path, root: Path) -> None:
    device(tmp_path)

    def roost(*words: str) -> subprocess.CompletedProcess[str]:
        code = "import sys; from roost_edge.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", code, "broker", *words, "--settings", str(tmp_path / "roost.toml")]
        return subprocess.run([*command, "--root", str(root)], capture_output=True, text=True, check=False)

    assert roost("setup", "--check").returncode == 1
    done = roost("setup", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["changed"], told["follow"], told["outside"]) == (True, "restart", "")
    again = roost("setup")
    assert "nothing to change" in again.stdout
    assert roost("setup", "--check").returncode == 0
    shown = json.loads(roost("render", "--json").stdout)
    assert list(shown) == [path for path in FILES if not path.endswith(".passwd")]
