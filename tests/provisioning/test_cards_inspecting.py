"""Images laid out as Raspberry Pi OS lays them out, looked into; and damaged ones, refused."""

import lzma
import random
import subprocess
from pathlib import Path

import pytest
from card_commands import PEM, told
from pi_card import BOOT_AT, ROOT_AT, make_card, pi_os

from roost_broker.errors import Misuse, RoostError
from roost_provisioning.image.card_files import Silent, copy_sparse, unpack
from roost_provisioning.image.card_reading import read_card
from roost_provisioning.image.inspecting import inspect_card
from roost_provisioning.image.partition_table import UnreadableImage


@pytest.fixture(scope="module")
def trixie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raspberry Pi OS Trixie with cloud-init. Not to be changed."""
    return make_card(tmp_path_factory.mktemp("trixie"), pi_os("trixie"))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scratch files of these tests are nobody else's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def test_inspect_tells_what_a_card_is_and_finds_nothing_wrong(trixie: Path) -> None:
    said = told("image", "inspect", trixie)
    report = said["report"]
    assert said["ok"] is True
    assert [(one["label"], one["file_system"]) for one in report["partitions"]] == [
        ("bootfs", "vfat"),
        ("rootfs", "ext4"),
    ]
    assert report["partitions"][1]["used"] > 1_000_000
    assert report["system"]["release"] == "trixie"
    assert report["system"]["architecture"] == "arm64"
    assert report["system"]["first_boot"] == "cloud-init"
    assert report["system"]["kernels"] == ["6.12.25+rpt-rpi-v8"]
    assert {board["board"]: board["missing"] for board in report["boards"]}["pi4b"] == []
    assert "root=PARTUUID=4e639091-02" in report["cmdline"]


@pytest.mark.parametrize("suffix", [".xz", ".zst", ".gz"])
def test_inspect_reads_a_packed_image_and_leaves_it_and_no_scratch(trixie: Path, tmp_path: Path, suffix: str) -> None:
    packed = tmp_path / f"card.img{suffix}"
    packer = {".xz": "xz", ".zst": "zstd", ".gz": "gzip"}[suffix]
    packed.write_bytes(subprocess.run([packer, "-1", "-c", trixie], capture_output=True, check=True).stdout)
    before = packed.read_bytes()
    said = told("image", "inspect", packed, "--scratch", tmp_path / "scratch")
    assert said["report"]["system"]["release"] == "trixie"
    assert packed.read_bytes() == before
    assert list((tmp_path / "scratch").iterdir()) == []


def test_inspect_finds_roost_its_units_bundles_and_settings(tmp_path: Path) -> None:
    content = pi_os("trixie")
    content.root |= {
        "opt/roost/venv/lib/python3.13/site-packages/roost-1.2.3.dist-info/METADATA": "x",
        "opt/roost/bundles/hens-3/manifest.json": "{}",
        "etc/roost/roost.toml": '[node]\nname = "coop"\n',
        "etc/roost/schedules/nest.toml": "x = 1\n",
    }
    content.links |= {
        f"etc/systemd/system/multi-user.target.wants/{unit}": f"/usr/lib/systemd/system/{unit}"
        for unit in ("roost-firstboot.service", "cron.service")
    }
    report = inspect_card(read_card(make_card(tmp_path, content)))
    assert report.roost is not None
    assert (report.roost.version, report.roost.python, report.roost.node) == ("1.2.3", "3.13", "coop")
    assert report.roost.bundles == ("hens-3",)
    assert report.roost.settings == ("/etc/roost/roost.toml", "/etc/roost/schedules/nest.toml")
    assert report.units == ("roost-firstboot.service",)


def test_inspect_fails_on_each_secret_that_all_cards_would_share(tmp_path: Path) -> None:
    content = pi_os("trixie")
    content.root |= {
        "etc/ssh/ssh_host_ed25519_key": PEM,
        "var/lib/roost/identity/device.key": PEM,
        "home/pi/deep/er/root-1.key": PEM,
        "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
        "etc/shadow": f"root:*:1::::::\npi:$6$saltsalt${'x' * 86}:1::::::\n",
        "opt/roost/venv/lib/python3.13/site-packages/x/test.key": PEM,  # a package's own test data are nobody's key
    }
    said = told("image", "inspect", make_card(tmp_path, content), status=1)
    assert {one["where"] for one in said["must_not_be"]} == {
        "/etc/ssh/ssh_host_ed25519_key",
        "/var/lib/roost/identity/device.key",
        "/home/pi/deep/er/root-1.key",
        "/etc/machine-id",
        "/etc/shadow",
    }


def test_a_key_under_a_name_that_tries_to_be_a_command_is_found_all_the_same(tmp_path: Path) -> None:
    content = pi_os("trixie")
    content.root |= {'etc/x" quit "': PEM, "etc/ <2>": PEM, "etc/-rf": PEM}
    said = told("image", "inspect", make_card(tmp_path, content), status=1)
    assert {one["where"] for one in said["must_not_be"]} == {'/etc/x" quit "', "/etc/ <2>", "/etc/-rf"}


def test_links_in_an_image_lead_nowhere_outside_it(tmp_path: Path) -> None:
    content = pi_os("trixie")
    del content.root["usr/lib/os-release"]
    content.links["usr/lib/os-release"] = "../../../../../../../../etc/inside"
    content.root["etc/inside"] = "VERSION_CODENAME=inside\n"
    content.links["etc/loop"] = "/etc/loop"
    card = read_card(make_card(tmp_path, content))
    assert card.ext().text("/etc/os-release") == "VERSION_CODENAME=inside\n"
    assert card.ext().entry("/etc/loop") is None


def test_an_image_whose_config_names_what_is_not_there_says_which_board_lacks_what(tmp_path: Path) -> None:
    content = pi_os("trixie")
    content.boot["config.txt"] += "[pi4]\nkernel=mine.img\n"
    del content.boot["bcm2710-rpi-zero-2-w.dtb"]
    report = inspect_card(read_card(make_card(tmp_path, content)))
    assert {board.board: board.missing for board in report.boards} == {
        "pi3b": (), "pi3b+": (), "zero2w": ("bcm2710-rpi-zero-2-w.dtb",), "pi4b": ("mine.img",),
    }  # fmt: skip


def damaged(image: Path, folder: Path, *, cut: int = 0, at: int = 0, data: bytes = b"") -> Path:
    """A copy that ends at `cut`, or has other bytes somewhere."""
    copy = folder / "damaged.img"
    copy_sparse(image, copy, Silent())
    with copy.open("r+b") as file:
        if cut:
            file.truncate(cut)
        file.seek(at)
        file.write(data)
    return copy


@pytest.mark.parametrize(
    ("words", "damage"),
    [
        ("not a disk image", {"at": 510, "data": b"\0\0"}),
        ("partition 2 would lie", {"cut": ROOT_AT + 1000}),
        ("no table at all", {"cut": 100}),
        ("larger than its partition", {"at": BOOT_AT + 32, "data": b"\xff\xff\xff\x7f"}),
        ("larger than its partition", {"at": ROOT_AT + 1024 + 4, "data": b"\xff\xff\xff\x7f"}),
        ("debugfs cannot read", {"at": ROOT_AT + 1024 + 96, "data": b"\xff\xff\xff\xff"}),
    ],
    ids=["magic", "cut in the root", "cut in the table", "FAT too large", "ext4 too large", "ext4 of the future"],
)
def test_a_damaged_image_is_refused_in_one_sentence_with_a_next_step(
    trixie: Path, tmp_path: Path, words: str, damage: dict[str, int]
) -> None:
    if words == "no table at all":
        words = "ends early"
    image = damaged(trixie, tmp_path, **damage)
    with pytest.raises(UnreadableImage, match=words) as refused:
        inspect_card(read_card(image))
    assert refused.value.remedy


def test_noise_over_the_file_systems_ends_in_an_answer_or_a_refusal(trixie: Path, tmp_path: Path) -> None:
    noise = random.Random(5)
    for _ in range(25):
        spot = noise.choice([BOOT_AT, BOOT_AT + 16384, ROOT_AT + 1024, ROOT_AT + 4096 * noise.randrange(1, 400)])
        image = damaged(trixie, tmp_path, at=spot + noise.randrange(512), data=noise.randbytes(200))
        try:
            inspect_card(read_card(image))
        except RoostError:
            continue


@pytest.mark.parametrize("cut", [10, 1000, -100], ids=["head", "middle", "end"])
def test_a_packed_image_that_was_cut_short_is_refused(trixie: Path, tmp_path: Path, cut: int) -> None:
    packed = tmp_path / "card.img.xz"
    packed.write_bytes(lzma.compress(trixie.read_bytes(), preset=0)[:cut])
    with pytest.raises(UnreadableImage, match="cannot be unpacked"):
        unpack(packed, tmp_path / "card.img", Silent())


def test_what_is_no_image_at_all_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04....")
    for path, words in ((tmp_path, "folder"), (tmp_path / "none.img", "no image"), (tmp_path / "a.zip", "zip archive")):
        with pytest.raises(Misuse, match=words):
            unpack(path, tmp_path / "x", Silent())
