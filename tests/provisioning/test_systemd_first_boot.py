"""The first boot, in a guest with a real enrolment desk: from a seed on the card to a device that answers."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from device_guest import SETTINGS, device_base, install, is_ready, own_wheel, roost, wait_until
from guests import Guest

ROOST = Path(sys.executable).with_name("roost")
MARK = "/var/lib/roost/provisioned"
WORKING = ("rendezvous-henhouse", "model-henhouse-champion", "capture-nest")
SEED = "/boot/firmware/roost"
# What is there when a step has begun to leave something: the power is cut then.
CUTS = (
    "/var/lib/roost/identity/pending.key",
    "/var/lib/roost/identity/device.pem",
    "/etc/roost/broker/passwords/decoy-henhouse",
    "/etc/systemd/system/roost-tasks.target.wants/roost-decoy@henhouse.service",
)


@contextmanager
def desk(folder: Path, address: str) -> Iterator[dict[str, str]]:
    """An enrolment desk for guests; what a seed says of it, with a token for one device of any name `coop-…`."""

    def pki(*words: str) -> str:
        return subprocess.run([ROOST, "pki", *words], cwd=folder, check=True, capture_output=True, text=True).stdout

    made = json.loads(pki("init", "test", "--root-keys", "keys", "--json"))
    token = json.loads(pki("token", "--prefix", "coop", "--json"))["token"]
    with closing(socket.socket()) as probe:
        probe.bind((address, 0))
        port = probe.getsockname()[1]
    serving = subprocess.Popen(
        [ROOST, "pki", "serve", "--host", address, "--listen", address, "--port", str(port)],
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield {"url": f"https://{address}:{port}", "token": token, "ca_sha256": made["sha256"]}
    finally:
        serving.kill()
        serving.wait()


def card(guest: Guest, seed: dict[str, str]) -> None:
    """What stands on the boot partition of a card that was just written."""
    guest.run(["rm", "-rf", "/etc/roost"])
    guest.put(f"{SEED}/seed.toml", "[enrol]\n" + "".join(f'{name} = "{value}"\n' for name, value in seed.items()))
    guest.put(f"{SEED}/roost.toml", SETTINGS.replace('name = "pi1"', 'name = "@identity"'))
    guest.put(
        f"{SEED}/schedules/henhouse.toml", (Path(__file__).resolve().parents[2] / "models/henhouse/schedule.toml")
    )


def exists(guest: Guest, path: str) -> bool:
    return guest.run(["test", "-e", path], check=False).returncode == 0


def test_a_card_becomes_a_device_however_often_the_power_is_cut_meanwhile(tmp_path: Path) -> None:
    wheel = own_wheel("bookworm", tmp_path)
    with Guest("firstboot", device_base("bookworm")) as guest, desk(tmp_path, guest.network.address) as seed:
        install(guest, wheel)
        roost(guest, "units", "apply", "--base")
        card(guest, seed)
        for path in CUTS:
            guest.run(["systemctl", "start", "--no-block", "roost-firstboot.service"])
            wait_until(partial(exists, guest, path), f"{path} is there")
            guest.kill()
            guest.start()
        roost(guest, "units", "apply", "--base", "--first-boot")  # as it is in an image
        guest.stop()
        guest.start()
        wait_until(lambda: exists(guest, MARK), "the device is complete")
        wait_until(lambda: is_ready(guest, *WORKING), "it works")
        assert "token" not in guest.read(f"{SEED}/seed.toml").replace("# Written", "").split("[enrol]")[1]
        assert guest.run(["stat", "-L", "-c", "%a %U %G", "/var/lib/roost/identity/device.key"]).stdout == (
            "640 root roost-identity\n"
        )
        name = guest.read("/var/lib/roost/identity/name").strip()
        assert name.startswith("coop-")
        guest.stop()
        guest.start()
        wait_until(lambda: is_ready(guest, *WORKING), "it works after a restart")
        assert guest.properties("roost-firstboot.service", "ConditionResult") == {"ConditionResult": "no"}
        assert guest.read("/var/lib/roost/identity/name").strip() == name


def test_a_certificate_is_renewed_within_what_the_unit_allows(tmp_path: Path) -> None:
    identity = "/var/lib/roost/identity"
    with Guest("renew", device_base("bookworm")) as guest, desk(tmp_path, guest.network.address) as seed:
        install(guest, own_wheel("bookworm", tmp_path))
        roost(guest, "units", "apply", "--base")
        card(guest, seed)
        guest.run(["systemctl", "start", "roost-firstboot.service"])
        before = guest.read(f"{identity}/device.pem")
        guest.run(["systemctl", "start", "roost-renew.service"])  # not due yet
        assert guest.read(f"{identity}/device.pem") == before
        shipped = guest.run(["systemctl", "cat", "roost-renew.service"]).stdout
        (command,) = [line for line in shipped.splitlines() if line.startswith("ExecStart=")]
        now = f"[Service]\nExecStart=\n{command} --now --new-key\n"
        guest.put("/etc/systemd/system/roost-renew.service.d/50-now.conf", now)
        guest.run(["systemctl", "daemon-reload"])
        guest.run(["systemctl", "start", "roost-renew.service"])
        assert guest.read(f"{identity}/device.pem") != before
        assert guest.run(["stat", "-L", "-c", "%a %U %G", f"{identity}/device.key"]).stdout == (
            "640 root roost-identity\n"
        )
        assert "reloaded mosquitto.service" in guest.run(["journalctl", "--no-pager", "-u", "roost-renew"]).stdout
        assert not exists(guest, f"{identity}/changed")
