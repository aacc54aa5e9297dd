"""Switching on what cannot boot: it is said why, soon, and nothing is left running."""

from pathlib import Path

import pytest
from cards import small_card

from roost_broker.errors import Misuse, PeerError
from roost_provisioning.boot_test.boot_files import PI_3B, boot_files
from roost_provisioning.boot_test.card_image import CardImage
from roost_provisioning.boot_test.emulator import Emulator
from roost_provisioning.boot_test.machine import Kind, Machine
from roost_provisioning.boot_test.main import main

CONFIG = b"kernel=vmlinuz\n"


def emulator(folder: Path, boot: dict[str, bytes], kind: Kind = "virt") -> Emulator:
    card = CardImage(small_card(folder, boot))
    return Emulator(Machine(kind), card, boot_files(CONFIG.decode(), PI_3B), folder, ["login:"])


def booted(device: Emulator) -> None:
    device.switch_on()
    device.until_said("login:", 60)


def test_a_kernel_that_says_nothing_is_waited_for_no_longer_than_asked_and_then_gone(tmp_path: Path) -> None:
    boot = {"vmlinuz": b"\0" * 4096, "cmdline.txt": b"root=LABEL=RASPIROOT\n", "bcm2710-rpi-3-b.dtb": b""}
    with emulator(tmp_path, boot) as device:
        device.switch_on()
        pid = device.pid
        with pytest.raises(PeerError, match=r"Waited 1 s in vain for “login:” on the console"):
            device.until_said("login:", 1)
        assert device.running
    assert not Path(f"/proc/{pid}/exe").exists()


def test_a_kernel_that_is_not_on_the_card_is_named(tmp_path: Path) -> None:
    with (
        emulator(tmp_path, {"cmdline.txt": b"root=LABEL=RASPIROOT\n"}) as device,
        pytest.raises(PeerError, match="has no vmlinuz"),
    ):
        device.switch_on()


def test_a_card_without_a_root_on_its_command_line_is_not_started(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="names no root file system"):
        emulator(tmp_path, {"cmdline.txt": b"rw\n"})


def test_an_emulator_that_refuses_its_image_says_so_in_its_own_words(tmp_path: Path) -> None:
    """The emulated Pi's card must have a size that is a power of two."""
    boot = {"vmlinuz": b"\0" * 4096, "cmdline.txt": b"root=LABEL=RASPIROOT\n", "bcm2710-rpi-3-b.dtb": b"\0" * 64}
    with emulator(tmp_path, boot, "raspi3b") as pi:
        with (tmp_path / "card.img").open("ab") as file:
            file.write(b"\0" * 512)
        with pytest.raises(PeerError, match="SD card size has to be a power of 2"):
            booted(pi)


def test_a_story_with_an_image_that_lacks_what_its_config_names_fails_and_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    boot = {"config.txt": CONFIG, "cmdline.txt": b"root=LABEL=RASPIROOT\n"}
    card = small_card(tmp_path, boot)
    words = ["--image", str(card), "--machine", "raspi3b", "--card", "2", "--keep", str(tmp_path / "kept"), "--json"]
    assert main(words) == 1
    said = capsys.readouterr()
    assert '"ok": false' in said.out
    assert "A zero2w would look in vain for bootcode.bin, start.elf, fixup.dat, vmlinuz" in said.out
