"""Small pure parts of a build: sizes, places, names, sentences."""

from pathlib import Path

import pytest

from roost_broker.errors import Misuse
from roost_provisioning.cli.image_build import mebibytes
from roost_provisioning.image.build import packing
from roost_provisioning.image.build.app_layer import console_script
from roost_provisioning.image.build.first_partition import meta_data
from roost_provisioning.image.build.partitions import DATA_ROOM, MIB, ROOT_START, layout
from roost_provisioning.image.build.places import mounts_below
from roost_provisioning.image.build.programs import failure, missing, require
from roost_provisioning.image.build.stages import Stages
from roost_provisioning.image.device.seal_root import sealed_fstab
from roost_provisioning.image.recipe import DATA


def test_an_image_is_as_small_as_its_content_allows() -> None:
    plan = layout(800 * MIB, 30_000)
    assert 1000 < plan.root_size < 1200
    assert plan.image_size == ROOT_START + plan.root_size + DATA_ROOM


def test_a_wanted_size_is_met_and_one_too_small_says_what_it_takes() -> None:
    least = layout(800 * MIB, 30_000).image_size
    assert layout(800 * MIB, 30_000, 4096).image_size == 4096
    with pytest.raises(Misuse, match=f"{least} MiB"):
        layout(800 * MIB, 30_000, least - 1)


def test_partitions_follow_each_other_in_the_table() -> None:
    script = layout(800 * MIB, 30_000).script("0edd0001")
    assert "label-id: 0x0edd0001" in script
    assert "start=4MiB, size=256MiB, type=c, bootable" in script
    assert "start=260MiB" in script


@pytest.mark.parametrize(("text", "size"), [("", 0), ("4G", 4096), ("3500M", 3500), ("3500", 3500), ("2g", 2048)])
def test_sizes_have_units(text: str, size: int) -> None:
    assert mebibytes(text) == size


@pytest.mark.parametrize("text", ["4T", "G", "-1G", "4.5G", "0", "9999999999G"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(Misuse, match="no size"):
        mebibytes(text)


def test_mounts_that_a_killed_build_left_are_found_innermost_first() -> None:
    text = (
        "21 1 0:20 / /proc rw - proc proc rw\n"
        "30 1 8:1 / /cache/work-a/root/dev rw - tmpfs x rw\n"
        "31 1 8:1 / /cache/work-a/root/dev/null rw - devtmpfs x rw\n"
        "32 1 8:1 / /cache/work-ab rw - tmpfs x rw\n"
    )
    assert mounts_below(Path("/cache/work-a"), text) == ["/cache/work-a/root/dev/null", "/cache/work-a/root/dev"]


def test_a_missing_program_comes_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("roost_provisioning.image.build.programs._SYSTEM_FOLDERS", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing(["mcopy", "mke2fs"]) == ["mcopy", "mke2fs"]
    with pytest.raises(Misuse, match="apt install e2fsprogs mtools"):
        require(["mcopy", "mke2fs"])


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("E: You don't have enough free space: No space left on device", "--cache"),
        ("Err:1 http://m.example bookworm InRelease  Could not resolve 'm.example'", "--mirror"),
        ("chroot: failed to run command: Exec format error", "qemu-user-static"),
        ("something nobody has seen", "lines above"),
    ],
)
def test_the_likely_cause_of_a_failure_is_named(line: str, remedy: str) -> None:
    error = failure("mmdebstrap", 1, [line], Path("/cache/log"))
    assert line in error.problem
    assert remedy in error.remedy
    assert "/cache/log" in error.remedy


@pytest.mark.parametrize("name", ["card.iso", "card.zst", "card", "card.img.gz"])
def test_a_name_that_does_not_tell_how_to_pack_is_refused(name: str) -> None:
    with pytest.raises(Misuse, match=r"\.img\.zst"):
        packing.needs(Path(name))


def test_the_seeds_name_changes_with_its_content_and_only_then() -> None:
    assert meta_data(b"a", b"b") == meta_data(b"a", b"b")
    assert len({meta_data(b"a", b"b"), meta_data(b"ab", b""), meta_data(b"a", b"c")}) == 3


def test_a_console_script_runs_the_venvs_python() -> None:
    text = console_script(" roost_provisioning.cli:main ")
    assert text.splitlines()[0] == "#!/opt/roost/venv/bin/python"
    assert "from roost_provisioning.cli import main\n" in text
    compile(text, "roost", "exec")


def test_on_a_sealed_device_nobody_writes_a_kernel_and_the_data_stay_writable() -> None:
    before = (DATA / "root/etc/fstab").read_text()
    after = sealed_fstab(before)
    changed = [(old, new) for old, new in zip(before.splitlines(), after.splitlines(), strict=True) if old != new]
    assert [(old.split()[1], old.split()[3], new.split()[3]) for old, new in changed] == [
        ("/boot/firmware", "defaults,noatime,umask=0077", "ro,noatime,umask=0077")
    ]
    assert sealed_fstab(after) == after


def test_a_stage_that_fails_has_no_time() -> None:
    told: list[str] = []
    stages = Stages(("one", "two"), told.append)
    with stages.stage("one", what="first"):
        pass
    with pytest.raises(OSError, match="full"), stages.stage("two", what="second"):
        raise OSError("full")
    assert list(stages.seconds) == ["one"]
    assert told[0] == "[1/2] one: first"
