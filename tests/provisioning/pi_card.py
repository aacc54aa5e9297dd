"""Small images laid out as Raspberry Pi OS lays out its cards, made with mke2fs, mkfs.vfat and mtools; for tests.

The content is what the official image builder writes (labels, os-release, issue.txt, cmdline.txt, config.txt, where
cloud-init reads); the programs themselves are empty files. No official image was at hand to compare it with.
"""

import struct
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

MB = 1 << 20
BOOT_AT, BOOT_SIZE, ROOT_SIZE = 8 * MB, 64 * MB, 24 * MB
ROOT_AT = BOOT_AT + BOOT_SIZE
DISK = 0x4E639091

CONFIG = """\
# For more options and information see
# http://rptl.io/configtxt
dtparam=audio=on
camera_auto_detect=1
display_auto_detect=1
auto_initramfs=1
dtoverlay=vc4-kms-v3d
max_framebuffers=2
disable_fw_kms_setup=1
arm_64bit=1
disable_overscan=1
arm_boost=1

[cm4]
otg_mode=1

[cm5]
dtoverlay=dwc2,dr_mode=host

[all]
"""
CMDLINE = {
    "bookworm": "console=serial0,115200 console=tty1 root=PARTUUID=4e639091-02 rootfstype=ext4 fsck.repair=yes "
    "rootwait quiet init=/usr/lib/raspberrypi-sys-mods/firstboot\n",
    "trixie": "console=serial0,115200 console=tty1 root=PARTUUID=4e639091-02 rootfstype=ext4 fsck.repair=yes "
    "rootwait resize\n",
}
FIRMWARE = (
    "bootcode.bin", "start.elf", "fixup.dat", "start4.elf", "fixup4.dat", "kernel8.img", "initramfs8",
    "bcm2710-rpi-3-b.dtb", "bcm2710-rpi-3-b-plus.dtb", "bcm2711-rpi-4-b.dtb", "bcm2710-rpi-zero-2-w.dtb",
    "overlays/vc4-kms-v3d.dtbo",
)  # fmt: skip
VERSIONS = {"bookworm": "12", "trixie": "13"}


@dataclass
class Content:
    """Files of both partitions; a value None takes a file away."""

    boot: dict[str, str] = field(default_factory=dict)
    root: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)


def pi_os(release: str, *, cloud_init: bool | None = None, architecture: str = "aarch64") -> Content:
    """What Raspberry Pi OS Lite of that release has on it. Bookworm has no cloud-init; Trixie has, since its second."""
    loader = {"aarch64": "ld-linux-aarch64.so.1", "armhf": "ld-linux-armhf.so.3"}[architecture]
    content = Content(
        boot={
            "config.txt": CONFIG,
            "cmdline.txt": CMDLINE[release],
            "issue.txt": "Raspberry Pi reference 2025-05-13\nGenerated using pi-gen, "
            "https://github.com/RPi-Distro/pi-gen, 4b5c8e1f, stage2\n",
            **dict.fromkeys(FIRMWARE, "x"),
        },
        root={
            "usr/lib/os-release": f'PRETTY_NAME="Debian GNU/Linux {VERSIONS[release]} ({release})"\n'
            'NAME="Debian GNU/Linux"\n'
            f'VERSION_ID="{VERSIONS[release]}"\nVERSION_CODENAME={release}\nID=debian\n',
            "etc/rpi-issue": "Raspberry Pi reference 2025-05-13\n",
            "etc/machine-id": "uninitialized\n",
            "etc/hostname": "raspberrypi\n",
            "etc/passwd": "root:x:0:0:root:/root:/bin/bash\npi:x:1000:1000:,,,:/home/pi:/bin/bash\n",
            "etc/shadow": "root:*:20000:0:99999:7:::\npi:!:20000:0:99999:7:::\n",
            f"usr/lib/{loader}": "x",
            "usr/lib/modules/6.12.25+rpt-rpi-v8/modules.dep": "",
            "usr/bin/python3": "x",
            "usr/lib/raspberrypi-sys-mods/imager_custom": "x",
            "home/pi/.profile": "x",
        },
        links={"etc/os-release": "../usr/lib/os-release", "lib": "usr/lib"},
    )
    if cloud_init if cloud_init is not None else release == "trixie":
        content.root["usr/bin/cloud-init"] = "x"
        content.root["etc/cloud/cloud.cfg.d/99_raspberry-pi.cfg"] = (
            "datasource_list: [ NoCloud, None ]\ndatasource:\n  NoCloud:\n    seedfrom: file:///boot/firmware\n"
        )
        content.boot["meta-data"] = "dsmode: local\ninstance_id: rpios-image\n"
        content.boot["user-data"] = "#cloud-config\n"
        content.boot["network-config"] = "# nothing\n"
    return content


def make_card(folder: Path, content: Content, *, name: str = "card.img", boot_size: int = BOOT_SIZE) -> Path:
    """The image of a card with this content, in `folder`. Official ones have 512 MB to boot from."""
    root_at = BOOT_AT + boot_size
    image = folder / name
    tree = folder / f"{name}.root"
    for path, text in content.root.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    for path, target in content.links.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).symlink_to(target)
    with image.open("wb") as file:
        file.truncate(root_at + ROOT_SIZE)
        file.write(mbr((BOOT_AT, boot_size, 0x0C), (root_at, ROOT_SIZE, 0x83)))
    run(
        "mkfs.vfat",
        "-F",
        "32",
        "-s",
        "1",
        "-n",
        "bootfs",
        f"--offset={BOOT_AT // 512}",
        str(image),
        str(boot_size // 1024),
    )
    run(
        "mke2fs", "-q", "-F", "-t", "ext4", "-L", "rootfs", "-O", "^huge_file", "-E", f"offset={root_at}",
        "-d", str(tree), str(image), f"{ROOT_SIZE // 1024}k",
    )  # fmt: skip
    boot = folder / f"{name}.boot"
    for path, text in content.boot.items():
        (boot / path).parent.mkdir(parents=True, exist_ok=True)
        (boot / path).write_text(text)
    run("mcopy", "-s", "-i", f"{image}@@{BOOT_AT}", *sorted(map(str, boot.iterdir())), "::/")
    return image


def mbr(*partitions: tuple[int, int, int], disk: int = DISK) -> bytes:
    """A boot record with these partitions: (start, size, type), in bytes."""
    entries = b"".join(
        struct.pack("<B3sB3sII", 0, bytes(3), kind, bytes(3), start // 512, size // 512)
        for start, size, kind in partitions
    )
    return bytes(440) + struct.pack("<IH", disk, 0) + entries.ljust(64, b"\0") + b"\x55\xaa"


def run(*argv: str) -> str:
    """What a tool prints; its complaint when it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv[0]}: {done.stderr}"
    return done.stdout
