"""The distribution's mosquitto.service with our configuration, on a booted device: closed, hardened, and it follows."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from device_guest import device_base, install, own_wheel, roost
from guests import Guest

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))  # its authority for tests

from fleet_certificates import Fleet

SAVED, IDENTITY = "/var/lib/roost/mosquitto", "/var/lib/roost/identity"
FILE = "/etc/roost/roost.toml"


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def guest(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    wheel = own_wheel(request.param, tmp_path_factory.mktemp("wheel"))
    with Guest("broker1", device_base(request.param)) as made:
        install(made, wheel)
        roost(made, "units", "apply", "--base")  # the users that files are given to
        yield made


def shell(guest: Guest, line: str) -> str:
    return guest.run(["sh", "-c", line]).stdout


def refused(guest: Guest, line: str) -> bool:
    return guest.run(["sh", "-c", line], check=False).returncode != 0


def as_user(user: str, port: int) -> str:
    """Words for Mosquitto's own clients, in a shell of the guest."""
    return f'-V 5 -p {port} -u {user} -P "$(cat /etc/roost/broker/passwords/{user})"'


def properties(guest: Guest, *names: str) -> dict[str, str]:
    said = guest.run(["systemctl", "show", "mosquitto.service", *(f"--property={name}" for name in names)]).stdout
    return dict(line.split("=", 1) for line in said.splitlines())


def setup(guest: Guest) -> dict[str, object]:
    found: dict[str, object] = json.loads(roost(guest, "broker", "setup", "--json", "--settings", FILE).stdout)
    return found


def test_one_command_closes_the_broker_and_a_second_time_changes_nothing(guest: Guest) -> None:
    assert setup(guest)["follow"] == "restart"
    state = properties(guest, "ActiveState", "MainPID", "User")
    assert (state["ActiveState"], state["User"]) == ("active", "mosquitto")
    again = setup(guest)
    assert (again["changed"], again["follow"]) == (False, "nothing")
    assert properties(guest, "MainPID")["MainPID"] == state["MainPID"]
    listening = shell(guest, "ss -H -ltn").split()
    assert {"127.0.0.1:1883", "127.0.0.1:1884"} <= set(listening)
    assert not [one for one in listening if one.endswith((":1883", ":1884", ":8883")) and not one.startswith("127.")]


def test_without_a_password_nobody_comes_in_and_with_one_it_is_who_it_says(guest: Guest) -> None:
    say = "mosquitto_pub -q 1 -t roost/pi1/henhouse/schedule -m x"
    for way in ("-V 5 -p 1883", "-V 5 -p 1884", "-V 5 -p 1884 -u operator -P guess", as_user("monitor", 1884)):
        assert refused(guest, f"{say} {way}"), way
    assert "Not authorized" in shell(guest, f"{say} {as_user('monitor', 1883)} 2>&1")
    assert shell(guest, f"{say} {as_user('operator', 1884)} 2>&1") == ""


def test_a_change_of_rights_is_a_reload_of_the_same_process(guest: Guest) -> None:
    before = properties(guest, "MainPID")["MainPID"]
    guest.run(
        ["sh", "-c", "printf '\\n[mosquitto.programs.weather]\\nwrite = [\"weather/#\"]\\n' >> /etc/roost/roost.toml"]
    )
    assert setup(guest)["follow"] == "reload"
    assert properties(guest, "MainPID")["MainPID"] == before
    assert shell(guest, f"mosquitto_pub -q 1 -t weather/now -m 21 {as_user('weather', 1883)} 2>&1") == ""


def test_the_service_is_hardened_and_keeps_its_sessions_on_the_data_partition(guest: Guest) -> None:
    said = json.loads(shell(guest, "systemd-analyze security --json=short mosquitto.service"))
    exposure = guest.run(["systemd-analyze", "security", "--no-pager", "mosquitto.service"]).stdout.splitlines()[-1]
    assert float(exposure.split(": ")[1].split()[0]) <= 2.5, [one for one in said if one["set"] is False]
    size = "stat -c %s /var/log/mosquitto/mosquitto.log 2>/dev/null || true"  # of the distribution's own start
    before = shell(guest, size)
    guest.run(["systemctl", "restart", "mosquitto.service"])  # a clean end saves
    assert shell(guest, size) == before  # it speaks to the journal
    assert "mosquitto.db" in shell(guest, f"ls {SAVED}")
    assert shell(guest, f"stat -c '%a %U' {SAVED}").strip() == "700 mosquitto"


def test_with_an_identity_the_door_for_other_machines_opens(guest: Guest, tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "fleet")
    fleet.identity(tmp_path / "identity", "pi1")
    for path in (tmp_path / "identity").iterdir():
        guest.put(f"{IDENTITY}/{path.name}", path)
    shell(guest, f"chown root:roost-identity {IDENTITY}/device.key && chmod 640 {IDENTITY}/device.key")
    certificate, key = fleet.person("watcher", "ben")
    for name, path in (("ca.pem", fleet.ca), ("ben.pem", certificate), ("ben.key", key)):
        guest.put(f"/root/{name}", path)
    shell(guest, "printf '\\n[mosquitto.outside]\\nwatchers = [\"ben\"]\\n' >> /etc/roost/roost.toml")
    done = setup(guest)
    assert (done["follow"], done["outside"]) == ("restart", "0.0.0.0:8883")
    look = "mosquitto_sub -V 5 -h localhost -p 8883 --insecure -t roost/# -W 2 --cafile /root/ca.pem"
    ours = "--cert /root/ben.pem --key /root/ben.key"
    say = f"mosquitto_pub -q 1 -r -t roost/pi1/x -m heard {as_user('operator', 1884)}"
    assert "heard" in shell(guest, f"{say}; {look} {ours} 2>&1 || true")
    assert "heard" not in shell(guest, f"{look} 2>&1 || true")
