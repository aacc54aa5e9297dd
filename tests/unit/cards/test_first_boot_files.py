"""What cloud-init and the first-run script are given: read back as the device reads it."""

import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from roost_edge.enrolment.seed import Seed
from roost_provisioning.image.card_identity import CardIdentity, Login, Wifi
from roost_provisioning.image.cloud_init import cloud_files, instance_of
from roost_provisioning.image.first_run import cmdline_with_instance, cmdline_with_script, install_script, script

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFqMjWTKL1lsDe0aV7eHTIR4MiARdNJv95QB4yYx9Za me@desk"
HASH = "$6$saltsalt$677q0O/U8ycKsbBfN68CgcyXcWEbi0J/eUf256PkkeGXfNX3CNnPlwFdNvdBgnSiHDx5X1Xozxf5lg9iVIVVu/"
PI_OS = "console=tty1 root=PARTUUID=4e639091-02 rootwait quiet init=/usr/lib/raspberrypi-sys-mods/firstboot"


def card(**words: object) -> CardIdentity:
    """A card with a key to log in."""
    return CardIdentity(**{"name": "coop-7", "login": Login(user="keeper", keys=(KEY,)), **words})


def user_data(**words: object) -> dict[str, object]:
    """Its user-data, as cloud-init reads it."""
    data = cloud_files(card(**words))["user-data"].decode()
    assert data.startswith("#cloud-config\n")
    return yaml.safe_load(data)


def test_host_user_and_key_are_as_cloud_init_wants_them() -> None:
    said = user_data()
    assert said["hostname"] == "coop-7"
    assert said["ssh_pwauth"] is False
    assert said["user"] == {
        "name": "keeper",
        "shell": "/bin/bash",
        "lock_passwd": True,
        "ssh_authorized_keys": [KEY],
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
    }
    assert said["runcmd"] == [["systemctl", "enable", "--now", "ssh"]]


def test_who_has_a_password_is_asked_for_it_by_sudo_and_only_its_hash_is_written() -> None:
    said = user_data(login=Login(user="keeper", password=HASH))
    assert said["user"] == {
        "name": "keeper", "shell": "/bin/bash", "lock_passwd": False, "passwd": HASH, "sudo": None,
    }  # fmt: skip
    assert said["ssh_pwauth"] is True


def test_without_a_login_not_even_the_distributions_user_is_made() -> None:
    said = user_data(login=None)
    assert said["users"] == []
    assert "user" not in said
    assert "runcmd" not in said


@pytest.mark.parametrize("ssid", ["no", "1e5", "Café: #1", '"quoted" \\ back', "null", "{a: b}", "- x", "%&*!|>", "鶏"])
def test_any_name_of_a_network_survives_yaml(ssid: str) -> None:
    files = cloud_files(card(wifi=Wifi(ssid=ssid, key="ab" * 32, country="NO")))
    network = yaml.safe_load(files["network-config"])["network"]
    assert network["version"] == 2
    assert network["wifis"]["wlan0"]["access-points"] == {ssid: {"password": "ab" * 32}}
    assert network["wifis"]["wlan0"]["regulatory-domain"] == "NO"
    assert network["ethernets"]["eth0"] == {"dhcp4": True, "dhcp6": True, "optional": True}


def test_an_open_hidden_network_says_so() -> None:
    files = cloud_files(card(wifi=Wifi(ssid="coop", country="DE", hidden=True)), wired="e*")
    network = yaml.safe_load(files["network-config"])["network"]
    assert network["wifis"]["wlan0"]["access-points"]["coop"] == {"hidden": True, "auth": {"key-management": "none"}}
    assert network["ethernets"]["wired"] == {"match": {"name": "e*"}, "dhcp4": True, "dhcp6": True}
    assert "optional" not in network["wifis"]["wlan0"]  # systemd would pass over it while it waits for a network


def test_without_wifi_the_images_own_network_config_stays() -> None:
    assert set(cloud_files(card())) == {"user-data", "meta-data"}


def test_the_instance_follows_from_the_content_so_that_an_edited_card_is_gone_through_again() -> None:
    def instance(**words: object) -> str:
        meta = cloud_files(card(**words))["meta-data"].decode()
        assert yaml.safe_load(meta)["local-hostname"] == words.get("name", "coop-7")
        return instance_of(meta)

    ca = "-----BEGIN CERTIFICATE-----"
    assert instance() == instance()
    different = {
        instance(),
        instance(name="coop-8"),
        instance(files={"roost.toml": b"1"}),
        instance(files={"roost.toml": b"2"}),
        instance(wifi=Wifi(ssid="a", country="DE")),
        instance(seed=Seed(url="https://a:1", ca=ca)),
        instance(seed=Seed(url="https://a:1", ca=ca, token="x" * 30)),
    }
    assert len(different) == 7


def test_the_first_run_script_uses_the_systems_own_tools_and_takes_itself_away() -> None:
    lines = script(card(wifi=Wifi(ssid="The 'Coop'", key="ab" * 32, country="DE", hidden=True))).decode().splitlines()
    words = [shlex.split(line) for line in lines if not line.startswith("#")]
    custom = "/usr/lib/raspberrypi-sys-mods/imager_custom"
    assert lines[0] == "#!/bin/sh"
    assert [custom, "set_hostname", "coop-7"] in words
    assert ["/usr/lib/userconf-pi/userconf", "keeper", ""] in words
    assert [custom, "enable_ssh", "-k", KEY] in words
    assert [custom, "set_wlan", "-h", "The 'Coop'", "ab" * 32, "DE"] in words
    assert ["rm", "-f", "/boot/firmware/firstrun.sh"] in words
    assert words[-1] == ["exit", "0"]


def test_the_command_line_names_the_script_once_however_often_it_is_done() -> None:
    once = cmdline_with_script(PI_OS + "\n")
    assert once.split()[:5] == PI_OS.split()
    assert once.split()[5:] == [
        "systemd.run=/boot/firmware/firstrun.sh",
        "systemd.run_success_action=reboot",
        "systemd.unit=kernel-command-line.target",
    ]
    assert once.count("\n") == 1
    assert cmdline_with_script(once) == once


def test_the_command_line_names_the_newest_instance_only() -> None:
    line = cmdline_with_instance(cmdline_with_instance(PI_OS, "roost-1"), "roost-2")
    assert line.split()[5:] == ["ds=nocloud;i=roost-2"]


def test_the_shell_of_the_device_can_read_both_scripts() -> None:
    for text in (install_script(), script(card(wifi=Wifi(ssid="a b", country="DE")))):
        subprocess.run(["sh", "-n"], input=text, check=True)


def test_the_installation_leaves_the_boot_partition_to_root_alone_however_often_it_runs(tmp_path: Path) -> None:
    (line,) = [one for one in install_script().decode().splitlines() if one.endswith("/etc/fstab")]
    fstab = tmp_path / "fstab"
    fstab.write_text(
        "proc  /proc  proc  defaults  0  0\n"
        "PARTUUID=4e639091-01  /boot/firmware  vfat  defaults  0  2\n"
        "PARTUUID=4e639091-02  /  ext4  defaults,noatime  0  1\n"
    )
    for _ in range(2):
        subprocess.run(["sh", "-c", line.replace("/etc/fstab", str(fstab))], check=True)
    options = [one.split()[3] for one in fstab.read_text().splitlines()]
    assert options == ["defaults", "defaults,umask=0077", "defaults,noatime"]
