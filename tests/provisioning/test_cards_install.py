"""install.sh, which a customised card carries, on a booted system: from the boot partition to a device that enrols.

The system is Debian Bookworm on this machine's processor with a kit for it. What only Raspberry Pi OS has (its own
tools for host, user and Wi-Fi) is not there: those lines of firstrun.sh are read in tests/unit/cards, not run.
"""

from collections.abc import Iterator
from pathlib import Path

import guest_base
import pytest
from guests import Guest

from roost_provisioning.image.customise import Payload, payload_files
from roost_provisioning.image.recipe import RELEASES
from roost_provisioning.kit import make

CHECKOUT = Path(__file__).parents[2]
HERE = "/boot/firmware/roost"
WAIT_S = 1800  # a hang-guard; 217 s were seen with a load of 24 on two cores


@pytest.fixture(scope="module")
def files() -> dict[str, bytes | Path]:
    """The boot partition's files for this machine's processor."""
    made = make(CHECKOUT, "bookworm", "x86_64", guest_base.cache() / "kits", centre=False, wheel=None, packages=True)
    return payload_files(Payload(kit=Path(made["path"])), RELEASES["bookworm"], "x86_64")


@pytest.fixture
def guest(files: dict[str, bytes | Path]) -> Iterator[Guest]:
    """A device whose card was just written."""
    with Guest("coop-7", timeout_s=WAIT_S) as booted:
        for path, content in files.items():
            booted.put(f"/boot/firmware/{path}", content if isinstance(content, Path) else content.decode())
        booted.put(f"{HERE}/roost.toml", '[node]\nname = "coop-7"\ndata = "/var/lib/roost"\n')
        yield booted


def installed(guest: Guest) -> None:
    """Wait for the end of the installation. A job that is over when it is asked for is no job."""
    guest.run(["systemctl", "start", "install-roost.service"], timeout_s=WAIT_S)


def test_a_card_installs_roost_without_a_network_and_hands_over_to_the_first_boot(guest: Guest) -> None:
    guest.link(up=False)
    guest.run(["sh", f"{HERE}/install.sh", "arm"])
    installed(guest)
    assert guest.run(["roost", "version"]).stdout.startswith("roost ")
    assert guest.run(["readlink", "/usr/local/bin/roost"]).stdout == "/opt/roost/venv/bin/roost\n"
    assert guest.read("/etc/roost/roost.toml").startswith("[node]")
    assert guest.run(["systemctl", "is-enabled", "roost-firstboot.service"]).stdout == "enabled\n"
    assert guest.run(["id", "-un", "roost"]).stdout == "roost\n"
    left = guest.run(["ls", HERE]).stdout.split()
    assert "kit.tar" not in left  # the boot partition needs the room
    assert "install.sh" in left
    guest.run(["/opt/roost/venv/bin/python", "-c", "import numpy, cv2, tflite_runtime, tuf, cryptography"])


def test_a_power_cut_in_the_middle_is_mended_by_the_next_start(guest: Guest) -> None:
    guest.run(["sh", f"{HERE}/install.sh", "arm"])
    guest.run(["systemctl", "start", "--no-block", "install-roost.service"])
    guest.run(["sh", "-c", "until [ -e /opt/roost/venv/bin/python ]; do sleep 0.05; done"], timeout_s=WAIT_S)
    assert guest.run(["test", "-e", "/opt/roost/.installed"], check=False).returncode == 1
    guest.kill()
    guest.start()
    installed(guest)
    assert guest.run(["roost", "version"]).stdout.startswith("roost ")


def test_a_kit_that_the_card_spoiled_is_not_installed(guest: Guest) -> None:
    guest.run(["sh", "-c", f"printf x | dd of={HERE}/kit.tar bs=1 seek=70000 conv=notrunc status=none"])
    spoiled = guest.run(["sh", f"{HERE}/install.sh", "run"], check=False)
    assert spoiled.returncode != 0
    assert "kit.tar" in spoiled.stdout + spoiled.stderr
    assert guest.run(["test", "-e", "/opt/roost"], check=False).returncode == 1
