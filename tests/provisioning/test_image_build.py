"""`roost image build`, whole: what is in the file that is written to a card. Uses the product's own cache."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from roost_provisioning.image.build.places import Places, default_cache, mounts_below
from roost_provisioning.image.build.programs import environment
from roost_provisioning.image.build.wheels import unpack, wheels
from roost_provisioning.image.device import seal_root
from roost_provisioning.image.device.card_plan import share_out
from roost_provisioning.image.recipe import RELEASES

ROOT = Path(__file__).parents[2]
MIB = 1024**2
BOOT, REST = 4 * MIB, 260 * MIB
SEED = '[enrol]\nurl = "https://centre.example:8443"\ntoken = "abcdefghijklmnopqrstuvwxyz"\nca_sha256 = "%s"\n' % (
    "0" * 64
)


# In the place of systemd, after the initramfs: says what the root is, and tries to write.
LOOK = """#!/bin/sh
mount -t proc proc /proc
mount -o remount,rw / && echo "LOOK remounted"
while read -r _ place kind options _; do echo "LOOK $place $kind $options"; done < /proc/mounts
echo hello > /etc/written && echo "LOOK above $(cat /etc/written)"
echo no > /media/root-ro/etc/written || echo "LOOK below refuses"
sed 's/^/LOOK /' /etc/fstab
echo o > /proc/sysrq-trigger
sleep 600
"""


def ran(*argv: str, given: str = "") -> str:
    done = subprocess.run(argv, input=given, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def roost(*words: str) -> list[str]:
    return [sys.executable, "-c", "from roost_provisioning.cli import main; raise SystemExit(main())", *words]


class Built:
    """An image and readers of it that mount nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record = json.loads(path.with_name(f"{path.name}.json").read_text())

    def boot(self, name: str) -> str:
        return ran("mtype", "-i", f"{self.path}@@{BOOT}", f"::{name}")

    def boot_names(self) -> set[str]:
        return {
            line.removeprefix("::/") for line in ran("mdir", "-b", "-/", "-i", f"{self.path}@@{BOOT}", "::").split()
        }

    def root(self, request: str) -> str:
        return ran("debugfs", "-R", request, f"{self.path}?offset={REST}")

    def text(self, path: str) -> str:
        return self.root(f"cat {path}")

    def names(self, folder: str) -> set[str]:
        return {row.split("/")[5] for row in self.root(f"ls -p {folder}").splitlines() if row.count("/") > 5} - {
            ".",
            "..",
        }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    folder = tmp_path_factory.mktemp("image")
    (folder / "seed").mkdir()
    (folder / "seed/seed.toml").write_text(SEED)
    path = folder / "card.img"
    ran(*roost("image", "build", "--seed", str(folder / "seed"), "--read-only-root", "--output", str(path), "--json"))
    yield Built(path)
    path.unlink()


def test_the_firmware_finds_a_kernel_and_an_initramfs_that_are_there(built: Built) -> None:
    config = built.boot("config.txt")
    kernel = re.search(r"^kernel=(\S+)$", config, re.MULTILINE)
    initramfs = re.search(r"^initramfs (\S+)", config, re.MULTILINE)
    assert kernel
    assert initramfs
    boards = {"bcm2710-rpi-3-b.dtb", "bcm2837-rpi-3-b.dtb", "bcm2837-rpi-zero-2-w.dtb", "bcm2711-rpi-4-b.dtb"}
    assert {kernel[1], initramfs[1], "bootcode.bin", "start.elf", "start4.elf"} <= built.boot_names()
    assert len(boards & built.boot_names()) >= 3
    words = built.boot("cmdline.txt").split()
    assert {"root=LABEL=RASPIROOT", "rootwait", "console=ttyS1,115200"} <= set(words)
    assert [word for word in words if word in ("ro", "rw")][-1] == "ro"  # the last one counts
    assert not [word for word in words if word.startswith("cma=")]  # a Pi 4 would not start


def test_file_systems_are_whole_and_labelled(built: Built) -> None:
    ran("e2fsck", "-f", "-n", f"{built.path}?offset={REST}")
    assert "RASPIROOT" in built.root("stats -h")
    assert "RASPIFIRM" in ran("mlabel", "-s", "-i", f"{built.path}@@{BOOT}", "::")


def test_no_card_shares_a_secret_or_an_id_with_another(built: Built) -> None:
    assert json.loads(ran(*roost("image", "inspect", str(built.path), "--json")))["must_not_be"] == []
    assert built.text("/etc/machine-id") == ""
    assert not [name for name in built.names("/etc/ssh") if name.startswith("ssh_host_")]
    assert built.names("/var/lib/roost") == set()
    assert "random-seed" not in built.names("/var/lib/systemd")
    shadow = [line.split(":") for line in built.text("/etc/shadow").splitlines()]
    assert all(fields[1] in ("*", "!", "!*", "!!") for fields in shadow)


def test_the_seed_and_the_answers_for_the_first_boot_lie_on_the_first_partition(built: Built) -> None:
    assert {"user-data", "meta-data", "network-config", "roost/seed.toml"} <= built.boot_names()
    assert 'token = "abcdefghijklmnopqrstuvwxyz"' in built.boot("roost/seed.toml")
    assert re.search(r"^instance-id: roost-[0-9a-f]{16}$", built.boot("meta-data"), re.MULTILINE)


def test_roost_is_there_for_the_devices_python_with_compiled_modules(built: Built) -> None:
    assert "/opt/roost/venv/bin/roost" in built.root("stat /usr/local/bin/roost")
    assert built.text("/opt/roost/venv/bin/roost").startswith("#!/opt/roost/venv/bin/python\n")
    site = "/opt/roost/venv/lib/python3.11/site-packages"
    assert {"roost_edge", "numpy", "tflite_runtime", "cryptography"} <= built.names(site)
    compiled = built.names(f"{site}/roost_edge/__pycache__")
    assert "daemon.cpython-311.pyc" in compiled
    natives = [name for name in built.names(site) if name.endswith(".so")]
    assert natives
    assert all("aarch64" in name for name in natives)


def test_settings_schedule_models_and_units_are_in_place(built: Built) -> None:
    assert 'data = "/var/lib/roost"' in built.text("/etc/roost/roost.toml")
    assert "sla_ms" in built.text("/etc/roost/schedules/henhouse.toml")
    assert built.names("/opt/roost/bundles") == {"champion", "fast", "rules", "canary"}
    system = built.names("/etc/systemd/system")
    assert {"roost-model@.service", "roost-firstboot.service", "roost.target"} <= system
    wanted = built.names("/etc/systemd/system/multi-user.target.wants")
    assert {"roost-firstboot.service", "image-ssh-keys.service"} <= wanted
    assert "image-seal.service" in built.names("/etc/systemd/system/cloud-init.target.wants")
    assert "image-card.service" in built.names("/etc/systemd/system/local-fs.target.wants")
    assert "roost:" in built.text("/etc/passwd")


def test_checksum_block_map_and_record_speak_of_this_very_file(built: Built) -> None:
    digest = hashlib.sha256(built.path.read_bytes()).hexdigest()
    assert built.record["sha256"] == built.record["image_sha256"] == digest
    assert built.path.with_name("card.img.sha256").read_text() == f"{digest}  card.img\n"
    ran("bmaptool", "--quiet", "copy", "--bmap", str(built.path.with_name("card.img.bmap")), str(built.path),
        str(built.path.with_name("copied")))  # fmt: skip
    copied = built.path.with_name("copied")
    assert ran("cmp", str(built.path), str(copied)) == ""
    copied.unlink()


def test_the_first_boots_table_fits_the_real_one(built: Built, tmp_path: Path) -> None:
    card = tmp_path / "card"
    ran("cp", "--sparse=always", str(built.path), str(card))
    os.truncate(card, 8 * 1024 * MIB)
    before = json.loads(ran("sfdisk", "--json", str(card)))
    share = share_out(before, 8 * 1024 * MIB // 512)
    ran(
        "sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "--force", "--wipe=never", str(card), given=share.script
    )
    after = json.loads(ran("sfdisk", "--json", str(card)))["partitiontable"]
    assert after["id"] == before["partitiontable"]["id"]
    boot, root, data = after["partitions"]
    assert boot["bootable"]
    assert root["start"] == REST // 512
    assert data["start"] == root["start"] + root["size"]
    ran("e2fsck", "-f", "-n", f"{card}?offset={REST}")
    assert share_out({"partitiontable": after}, 8 * 1024 * MIB // 512).script == ""


def test_what_the_first_boot_writes_last_seals_the_root_at_the_next_start(built: Built, tmp_path: Path) -> None:
    """Starts the image's own kernel and initramfs."""
    fstab = built.text("/etc/fstab")
    before = looked(built, tmp_path / "before", {"/usr/local/bin/look": LOOK})
    sealed = {seal_root.FSTAB: seal_root.sealed_fstab(fstab), seal_root.WORD: seal_root.SAID}
    after = looked(built, tmp_path / "after", {"/usr/local/bin/look": LOOK, **sealed})
    assert "LOOK / ext4 rw" in before
    assert "LOOK remounted" in after
    assert "LOOK / overlay rw" in after
    assert "LOOK above hello" in after
    assert "LOOK /media/root-ro ext4 ro" in after
    assert "LOOK below refuses" in after
    assert re.search(r"^LOOK LABEL=RASPIFIRM +/boot/firmware +vfat +ro,", after, re.MULTILINE)
    assert re.search(r"^LOOK LABEL=ROOSTDATA +/var/lib/roost +ext4 +noatime,", after, re.MULTILINE)


def looked(built: Built, folder: Path, files: dict[Path | str, str]) -> str:
    """What LOOK says on a card with these files. The files' names have no spaces."""
    folder.mkdir()
    card, serial = folder / "card", folder / "serial"
    ran("cp", "--sparse=always", str(built.path), str(card))
    disk = f"{card}?offset={REST}"
    for number, (place, text) in enumerate(files.items()):
        (folder / str(number)).write_text(text)
        subprocess.run(["debugfs", "-w", "-R", f"rm {place}", disk], check=True, capture_output=True)
        ran("debugfs", "-w", "-R", f"write {folder}/{number} {place}", disk)
        ran("debugfs", "-w", "-R", f"set_inode_field {place} mode 0100755", disk)
    names = {name.partition("-")[0]: name for name in built.boot_names() if name.startswith(("vmlinuz-", "initrd."))}
    for name in names.values():
        ran("mcopy", "-n", "-i", f"{card}@@{BOOT}", f"::{name}", str(folder))
    words = f"{built.boot('cmdline.txt').strip()} console=ttyAMA0 init=/usr/local/bin/look"
    ran("timeout", "1800", "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53", "-m", "1024", "-kernel",
        str(folder / names["vmlinuz"]), "-initrd", str(folder / names["initrd.img"]), "-append", words, "-drive",
        f"file={card},format=raw,if=virtio", "-display", "none", "-serial", f"file:{serial}", "-monitor", "none",
        "-nic", "none", "-no-reboot")  # fmt: skip
    card.unlink()
    return serial.read_text(errors="replace").replace("\r", "")


@pytest.mark.parametrize("name", sorted(RELEASES))
def test_the_lock_files_wheels_are_complete_for_the_device_though_resolved_elsewhere(name: str, tmp_path: Path) -> None:
    release, lock = RELEASES[name], ROOT / "provisioning/requirements" / f"{name}.txt"
    unpack(release, lock, wheels(release, lock, Places(default_cache()), print), tmp_path)
    there: dict[str, Distribution] = {
        canonicalize_name(one.metadata["Name"]): one for one in distributions(path=[str(tmp_path)])
    }
    device = {
        "platform_machine": "aarch64",
        "python_version": release.python,
        "python_full_version": f"{release.python}.0",
        "extra": "",
    }
    for one in there.values():
        for needed in map(Requirement, one.requires or ()):
            if needed.marker is None or needed.marker.evaluate(device):
                found = there.get(canonicalize_name(needed.name))
                assert found is not None, f"{one.name} needs {needed}"
                assert needed.specifier.contains(found.version, prereleases=True), f"{one.name} needs {needed}"


def test_a_build_that_is_ended_leaves_no_half_file_and_no_mount(tmp_path: Path) -> None:
    cache, output = tmp_path / "cache", tmp_path / "card.img"
    build = subprocess.Popen(
        roost("image", "build", "--cache", str(cache), "--output", str(output)),
        stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    assert build.stderr is not None
    for line in build.stderr:
        if "extracting archives" in line or "installing essential" in line:  # mmdebstrap has begun on a tree
            break
    else:
        pytest.fail("the build ended by itself")
    build.send_signal(signal.SIGTERM)
    build.stderr.read()
    assert build.wait(timeout=300) == 128 + signal.SIGTERM
    build.stderr.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache"]
    assert [path.name for path in (cache / "images").iterdir() if not path.name.startswith(".")] == ["logs"]
    assert mounts_below(tmp_path, Path("/proc/self/mountinfo").read_text()) == []
