"""First boot of Raspberry Pi OS without cloud-init: a script that systemd runs once, instead of everything else. Pure.

The kernel's command line names it (`systemd.run=`), as Raspberry Pi Imager does it; the system restarts after it. The
script sets the card's name, login and Wi-Fi with the system's own tools and takes itself off the command line.
"""

from pathlib import Path
from shlex import quote

from roost_provisioning.image.card_identity import CardIdentity

SCRIPT = "firstrun.sh"
INSTALL = "roost/install.sh"
BOOT = "/boot/firmware"
_WORDS = (
    f"systemd.run={BOOT}/{SCRIPT}",
    "systemd.run_success_action=reboot",
    "systemd.unit=kernel-command-line.target",
)
_CUSTOM = "/usr/lib/raspberrypi-sys-mods/imager_custom"
_USERCONF = "/usr/lib/userconf-pi/userconf"


def install_script() -> bytes:
    """What installs Roost on the device, run by cloud-init or by the script of here."""
    return (Path(__file__).with_name("first_run_data") / "install.sh").read_bytes()


def script(card: CardIdentity) -> bytes:
    """firstrun.sh for one card. Every step may fail or come twice: the card must start in any case."""
    lines = [
        "#!/bin/sh",
        f"# Written by Roost for {card.name or 'any card'}. Runs once, before anything else, and takes itself away.",
        "set +e",
    ]
    if card.name:
        lines.append(f"{_CUSTOM} set_hostname {quote(card.name)}")
    if login := card.login:
        lines.append(f"{_USERCONF} {quote(login.user)} {quote(login.password)}")
        if login.keys:
            words = " ".join(quote(key) for key in login.keys)
            lines.append(f"{_CUSTOM} enable_ssh -k {words}")
        else:
            lines.append(f"{_CUSTOM} enable_ssh -p")
        if not login.password:  # who has none could not give it to sudo
            rule = f"/etc/sudoers.d/010_{login.user}-nopasswd"
            lines += [f"echo {quote(f'{login.user} ALL=(ALL) NOPASSWD:ALL')} > {rule}", f"chmod 0440 {rule}"]
    if wifi := card.wifi:
        hidden = "-h " if wifi.hidden else ""
        lines.append(f"{_CUSTOM} set_wlan {hidden}{quote(wifi.ssid)} {quote(wifi.key)} {wifi.country}")
    lines += [
        f"[ ! -f {BOOT}/{INSTALL} ] || sh {BOOT}/{INSTALL} arm",
        f"rm -f {BOOT}/{SCRIPT}",
        "sed -i -e 's| systemd\\.run[^ ]*||g' -e 's| systemd\\.unit=kernel-command-line\\.target||' "
        f"{BOOT}/cmdline.txt",
        "sync",
        "exit 0",
    ]
    return ("\n".join(lines) + "\n").encode()


def cmdline_with_script(cmdline: str) -> str:
    """The command line that runs the script; the words stand once, however often this is done."""
    words = [word for word in cmdline.split() if not word.startswith("systemd.run") and word not in _WORDS]
    return " ".join([*words, *_WORDS]) + "\n"


def cmdline_with_instance(cmdline: str, instance: str) -> str:
    """The command line that tells cloud-init which instance this is, so that it need not ask again at each start."""
    words = [word for word in cmdline.split() if not word.startswith("ds=nocloud")]
    return " ".join([*words, f"ds=nocloud;i={instance}"]) + "\n"
