"""From cmdline.txt to the emulator's command line."""

from itertools import pairwise
from pathlib import Path

import pytest

from roost_broker.errors import Misuse
from roost_provisioning.boot_test.machine import Card, Kind, Machine, arguments, kernel_words

CONSOLES = (Path("first.log"), Path("second.log"))
CARD = Card(Path("roost.img"), Path("vmlinuz"), Path("initrd.img"), Path("bcm2837-rpi-3-b.dtb"))
WRITTEN = ("console=tty0", "console=ttyS1,115200", "root=LABEL=RASPIROOT", "rw", "quiet", "rootwait")


def after(command: list[str], flag: str) -> list[str]:
    return [word for before, word in pairwise(command) if before == flag]


@pytest.mark.parametrize("kind", ["virt", "raspi3b"])
def test_everything_the_card_says_reaches_the_kernel_but_the_serial_line(kind: Kind) -> None:
    words = kernel_words(WRITTEN, kind)
    kept = [word for word in WRITTEN if not word.startswith("console=") and word != "quiet"]
    assert list(words.words[: len(kept)]) == kept
    assert "without console=tty0" in words.changes
    assert "without quiet" in words.changes


def test_on_virt_the_sd_card_has_another_name_and_that_is_told() -> None:
    words = kernel_words(("root=/dev/mmcblk0p2", "rw"), "virt")
    assert words.words[0] == "root=/dev/vda2"
    assert "root=/dev/vda2 for root=/dev/mmcblk0p2" in words.changes
    assert kernel_words(("root=/dev/mmcblk0p2",), "raspi3b").words[0] == "root=/dev/mmcblk0p2"


def test_a_cmdline_without_a_root_is_refused() -> None:
    with pytest.raises(Misuse, match="root file system"):
        kernel_words(("rw", "rootwait"), "virt")


def test_virt_boots_what_the_card_names_from_the_image_past_the_hosts_cache() -> None:
    machine = Machine(memory_mb=900, processors=3, forwards=((40001, 8883),))
    command = arguments(machine, CARD, kernel_words(WRITTEN, "virt"), CONSOLES, Path("qmp"))
    assert after(command, "-kernel") == ["vmlinuz"]
    assert after(command, "-initrd") == ["initrd.img"]
    assert after(command, "-append") == [str(kernel_words(WRITTEN, "virt"))]
    assert after(command, "-drive") == ["file=roost.img,format=raw,cache=none,if=virtio"]
    assert after(command, "-netdev") == ["user,id=n,hostfwd=tcp:127.0.0.1:40001-:8883"]
    assert (after(command, "-m"), after(command, "-smp")) == (["900"], ["3"])
    assert after(command, "-serial") == ["file:first.log", "file:second.log"]
    assert "-dtb" not in command


def test_the_emulated_pi_gets_the_cards_device_tree_and_its_sd_slot() -> None:
    command = arguments(Machine(kind="raspi3b"), CARD, kernel_words(WRITTEN, "raspi3b"), CONSOLES, Path("qmp"))
    assert after(command, "-dtb") == ["bcm2837-rpi-3-b.dtb"]
    assert after(command, "-drive") == ["file=roost.img,format=raw,cache=none,if=sd"]
    assert "-netdev" not in command


def test_an_emulated_pi_without_a_device_tree_is_refused() -> None:
    card = Card(Path("roost.img"), Path("vmlinuz"), None, None)
    with pytest.raises(Misuse, match="device tree"):
        arguments(Machine(kind="raspi3b"), card, kernel_words(WRITTEN, "raspi3b"), CONSOLES, Path("qmp"))


def test_a_comma_in_the_images_name_is_no_option() -> None:
    card = Card(Path("a,b.img"), Path("vmlinuz"), None, None)
    command = arguments(Machine(), card, kernel_words(WRITTEN, "virt"), CONSOLES, Path("qmp"))
    assert after(command, "-drive") == ["file=a,,b.img,format=raw,cache=none,if=virtio"]
    assert "-initrd" not in command


@pytest.mark.parametrize(
    "wrong", [{"memory_mb": 100}, {"processors": 0}, {"kind": "raspi3b", "forwards": ((40001, 8883),)}]
)
def test_a_machine_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(Misuse):
        Machine(**wrong)  # type: ignore[arg-type]  # wrong on purpose
