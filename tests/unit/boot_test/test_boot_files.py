"""What the firmware would load by a config.txt, board by board."""

import pytest

from roost_broker.errors import Malformed
from roost_provisioning.boot_test.boot_files import (
    BOARDS,
    PI_3B,
    PI_3BP,
    PI_4B,
    PI_ZERO_2W,
    boot_files,
    command_line,
)

DEBIAN = """\
# Switch the CPU from ARMv7 into ARMv8 (aarch64) mode
arm_64bit=1

enable_uart=1
upstream_kernel=1

kernel=vmlinuz-6.1.0-40-arm64
# For details on the initramfs directive, see the forum
initramfs initrd.img-6.1.0-40-arm64
"""


def test_debians_config_names_its_kernel_ramdisk_and_the_upstream_device_tree_of_each_board() -> None:
    found = boot_files(DEBIAN, PI_3B)
    assert (found.kernel, found.initramfs) == ("vmlinuz-6.1.0-40-arm64", "initrd.img-6.1.0-40-arm64")
    assert found.device_tree == "bcm2837-rpi-3-b.dtb"
    assert found.cmdline == "cmdline.txt"
    trees = [boot_files(DEBIAN, board).device_tree for board in BOARDS]
    assert trees == [
        "bcm2837-rpi-3-b.dtb",
        "bcm2837-rpi-3-b-plus.dtb",
        "bcm2837-rpi-zero-2-w.dtb",
        "bcm2711-rpi-4-b.dtb",
    ]


def test_an_empty_config_takes_the_firmwares_own_names() -> None:
    found = boot_files("", PI_3B)
    assert (found.kernel, found.initramfs, found.device_tree) == ("kernel8.img", "", "bcm2710-rpi-3-b.dtb")


def test_auto_initramfs_follows_the_kernels_name() -> None:
    assert boot_files("auto_initramfs=1\n", PI_4B).initramfs == "initramfs8"
    assert boot_files("auto_initramfs=1\nkernel=linux.img\n", PI_4B).initramfs == ""


def test_a_filter_counts_until_the_next_and_only_for_its_boards() -> None:
    config = "[pi4]\nkernel=four.img\n[pi02]\nkernel=zero.img\n[pi3+]\nkernel=plus.img\n[all]\nos_prefix=a/\n"
    assert boot_files(config, PI_4B).kernel == "a/four.img"
    assert boot_files(config, PI_ZERO_2W).kernel == "a/zero.img"
    assert boot_files(config, PI_3BP).kernel == "a/plus.img"
    assert boot_files(config, PI_3B).kernel == "a/kernel8.img"


@pytest.mark.parametrize("strange", ["[none]", "[0x12345678]", "[gpio4=1]", "[EDID=VSC-TD2220]"])
def test_a_filter_that_cannot_be_judged_counts_as_not_met(strange: str) -> None:
    assert boot_files(f"{strange}\nkernel=other.img\n", PI_4B).kernel == "kernel8.img"


def test_the_last_line_of_a_key_counts_and_a_comment_does_not() -> None:
    config = "kernel=one.img\nkernel=two.img # the new one\n#kernel=three.img\n"
    assert boot_files(config, PI_4B).kernel == "two.img"


def test_overlays_are_files_too_and_their_parameters_are_none() -> None:
    config = "dtoverlay=disable-wifi\ndtoverlay=imx219,cam0\ndtoverlay=\n"
    assert boot_files(config, PI_4B).overlays == ("overlays/disable-wifi.dtbo", "overlays/imx219.dtbo")


def test_what_is_not_on_the_card_is_named_whatever_the_case_of_its_letters() -> None:
    found = boot_files(DEBIAN, PI_3B)
    card = [name.upper() for name in found.all]
    assert found.missing(card) == ()
    card.remove("START.ELF")
    card.remove("INITRD.IMG-6.1.0-40-ARM64")
    assert found.missing(card) == ("start.elf", "initrd.img-6.1.0-40-arm64")


@pytest.mark.parametrize("config", ["include more.txt=1\ninclude=more.txt", "arm_64bit=0", f"kernel={'k' * 98}"])
def test_a_config_that_cannot_be_followed_is_refused_and_not_guessed(config: str) -> None:
    with pytest.raises(Malformed):
        boot_files(config, PI_4B)


def test_cmdline_is_one_line_of_words() -> None:
    assert command_line("root=LABEL=RASPIROOT rw  rootwait\n\n") == ("root=LABEL=RASPIROOT", "rw", "rootwait")


@pytest.mark.parametrize("text", ["", "root=/dev/sda1\nrw\n"])
def test_a_cmdline_that_the_kernel_would_get_only_in_part_is_refused(text: str) -> None:
    with pytest.raises(Malformed, match="lines"):
        command_line(text)
