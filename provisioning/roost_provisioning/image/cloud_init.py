"""What cloud-init reads from the boot partition: user-data, meta-data, network-config. Pure.

cloud-init goes through user-data once for each instance-id. The id here follows from the content, so that a card that
was edited is gone through again and one that was not is left alone.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from roost_provisioning.image.card_identity import CardIdentity, Login, Wifi

USER_DATA, META_DATA, NETWORK_CONFIG = "user-data", "meta-data", "network-config"
_BARE = re.compile(r"[a-z][a-z0-9_-]*\Z")
_NOT_TEXT = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}  # to YAML 1.1
_HEAD = "# Written by Roost for this card.\n"


def cloud_files(card: CardIdentity, *, commands: Sequence[Sequence[str]] = (), wired: str = "eth0") -> dict[str, bytes]:
    """The files by name. `commands` run at the end of the first boot; `wired` is a network interface, or a pattern.

    Without a login nobody can log in. Without Wi-Fi there is no network-config: the image's own stays as it is.
    """
    said: dict[str, Any] = {"hostname": card.name, "manage_etc_hosts": True} if card.name else {}
    said["ssh_pwauth"] = bool(card.login and not card.login.keys)  # who has a key needs no password from afar
    if card.login:
        said["user"] = _user(card.login)
        commands = [("systemctl", "enable", "--now", "ssh"), *commands]  # Raspberry Pi OS leaves it off
    else:
        said["users"] = []  # not even the distribution's own
    if commands:
        said["runcmd"] = [list(one) for one in commands]
    user_data = f"#cloud-config\n{_HEAD}{yaml(said)}"
    network = f"{_HEAD}{yaml({'network': _network(card.wifi, wired)})}" if card.wifi else ""
    extra = "".join(f"{name}\n{hashlib.sha256(data).hexdigest()}\n" for name, data in sorted(card.files.items()))
    seed = repr(card.seed) if card.seed else ""
    instance = hashlib.sha256("\0".join((user_data, network, extra, seed)).encode()).hexdigest()[:16]
    meta = {"instance-id": f"roost-{instance}", "dsmode": "local"}
    if card.name:
        meta["local-hostname"] = card.name
    files = {USER_DATA: user_data.encode(), META_DATA: (_HEAD + yaml(meta)).encode()}
    if network:
        files[NETWORK_CONFIG] = network.encode()
    return files


def instance_of(meta_data: str) -> str:
    """The instance-id in a meta-data file written here; empty where there is none."""
    for line in meta_data.splitlines():
        if line.startswith("instance-id:"):
            return line.partition(":")[2].strip().strip('"')
    return ""


def _user(login: Login) -> dict[str, Any]:
    """The one user. Who has no password could not give one to sudo; who has is asked for it."""
    said: dict[str, Any] = {"name": login.user, "shell": "/bin/bash", "lock_passwd": not login.password}
    if login.password:
        said["passwd"] = login.password
    if login.keys:
        said["ssh_authorized_keys"] = list(login.keys)
    return {**said, "sudo": None if login.password else "ALL=(ALL) NOPASSWD:ALL"}


def _network(wifi: Wifi, wired: str) -> dict[str, Any]:
    """Netplan's second version. The wired interface is named too: a network-config replaces what was there before.

    `optional` is for Raspberry Pi OS. On an image of ours systemd waits until any interface is up, and would pass over
    optional ones: the first boot would wait in vain.
    """
    ours = "*" in wired
    common: dict[str, Any] = {"dhcp4": True} if ours else {"dhcp4": True, "optional": True}
    point: dict[str, Any] = {"hidden": True} if wifi.hidden else {}
    point |= {"password": wifi.key} if wifi.key else {"auth": {"key-management": "none"}}
    cable = {"match": {"name": wired}, **common} if ours else common
    return {
        "version": 2,
        "ethernets": {"wired" if ours else wired: {**cable, "dhcp6": True}},
        "wifis": {"wlan0": {**common, "regulatory-domain": wifi.country, "access-points": {wifi.ssid: point}}},
    }


def yaml(value: Mapping[str, Any]) -> str:
    """A mapping as YAML: nested mappings and lists in blocks, each string quoted as in JSON, which YAML reads alike."""
    return "".join(f"{line}\n" for line in _lines(value, 0))


def _lines(value: Any, depth: int) -> list[str]:
    pad, lines = "  " * depth, []
    if isinstance(value, Mapping):
        for key, inner in value.items():
            name = key if _BARE.match(key) and key not in _NOT_TEXT else _scalar(key)
            if isinstance(inner, (Mapping, list)) and inner:
                lines += [f"{pad}{name}:", *_lines(inner, depth + 1)]
            else:
                lines.append(f"{pad}{name}: {_scalar(inner)}")
        return lines
    for inner in value:
        if isinstance(inner, list) and inner:
            lines.append(f"{pad}- [{', '.join(_scalar(one) for one in inner)}]")
        else:
            lines.append(f"{pad}- {_scalar(inner)}")
    return lines


def _scalar(value: Any) -> str:
    # "no" and "on" would be booleans, 0755 a number: whatever is a string is quoted.
    return "{}" if value == {} else json.dumps(value, ensure_ascii=False)
