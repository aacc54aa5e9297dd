"""Cards made from an image: what is on them, what is not, and what is refused."""

import shutil
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pi_card
import pytest
import yaml
from card_commands import boot_file, roost, told
from pi_card import BOOT_AT, Content, make_card, pi_os

from roost_broker.errors import Misuse
from roost_edge.enrolment.seed import Seed, read_seed, write_seed
from roost_provisioning.image.card_files import Silent, copy_sparse, unpack
from roost_provisioning.image.card_making import make_card as make
from roost_provisioning.image.card_reading import read_card
from roost_provisioning.image.partition_table import UnreadableImage
from roost_provisioning.image.personalise import put
from roost_provisioning.pki.authority import Authority

TOKEN = "0123abcd-" + "x" * 32
DESK = ("--desk", "https://centre.example:8443")


@pytest.fixture(scope="module")
def trixie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raspberry Pi OS Trixie with cloud-init. Not to be changed."""
    return make_card(tmp_path_factory.mktemp("trixie"), pi_os("trixie"))


@pytest.fixture(scope="module")
def bookworm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raspberry Pi OS Bookworm. Not to be changed."""
    return make_card(tmp_path_factory.mktemp("bookworm"), pi_os("bookworm"))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scratch files of these tests are nobody else's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key.pub"
    path.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFqMjWTKL1lsDe0aV7eHTIR4MiARdNJv95QB4yYx9Za me@desk\n")
    return path


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    write_seed(
        tmp_path / "seed", Seed(url="https://centre.example:8443", token=TOKEN, ca="-----BEGIN CERTIFICATE-----\n")
    )
    return tmp_path / "seed"


def test_a_card_gets_name_seed_login_wifi_and_settings_and_the_image_stays_as_it_was(
    trixie: Path, tmp_path: Path, key: Path, seed: Path
) -> None:
    before = trixie.read_bytes()
    (tmp_path / "wifi").write_text("henhouse-42\n")
    (tmp_path / "password").write_text("eggs-for-all\n")
    card = tmp_path / "coop-7.img"
    roost(
        "image", "personalise", trixie, "--name", "coop-7", "--output", card, "--seed", seed, "--user", "keeper",
        "--ssh-key", key, "--password-file", tmp_path / "password", "--wifi", "The Coop",
        "--wifi-password-file", tmp_path / "wifi", "--wifi-country", "DE",
    )  # fmt: skip
    assert trixie.read_bytes() == before
    assert stat.S_IMODE(card.stat().st_mode) == 0o600  # there is a token on it
    assert card.stat().st_blocks * 512 < card.stat().st_size / 4  # holes stayed holes
    user = yaml.safe_load(boot_file(card, "user-data"))
    assert user["hostname"] == "coop-7"
    assert user["user"]["passwd"].startswith("$6$")
    meta = yaml.safe_load(boot_file(card, "meta-data"))
    assert boot_file(card, "cmdline.txt").split()[-1] == f"ds=nocloud;i={meta['instance-id']}"
    assert "root=PARTUUID=4e639091-02" in boot_file(card, "cmdline.txt")
    whole = card.read_bytes()
    assert b"henhouse-42" not in whole
    assert b"eggs-for-all" not in whole
    (tmp_path / "back").mkdir()
    for name in ("seed.toml", "ca.pem"):
        (tmp_path / "back" / name).write_text(boot_file(card, f"roost/{name}"))
    back = read_seed(tmp_path / "back")
    assert (back.url, back.token, back.name) == ("https://centre.example:8443", TOKEN, "coop-7")


def test_inspect_tells_of_the_token_for_whom_it_is_and_never_which(trixie: Path, tmp_path: Path, seed: Path) -> None:
    roost("image", "personalise", trixie, "--name", "coop-7", "--output", tmp_path / "c.img", "--seed", seed)
    told_of = roost("image", "inspect", tmp_path / "c.img")
    assert "token to enrol with, for coop-7" in told_of.stdout
    assert TOKEN not in told_of.stdout
    said = told("image", "inspect", tmp_path / "c.img", "--public", status=1)
    assert [one["where"] for one in said["must_not_be"]] == ["/boot/firmware/roost/seed.toml"]


def test_a_bookworm_card_gets_a_script_that_the_command_line_names(bookworm: Path, tmp_path: Path, key: Path) -> None:
    card = tmp_path / "card.img"
    roost("image", "personalise", bookworm, "--name", "coop-7", "--output", card, "--user", "keeper", "--ssh-key", key)
    line = boot_file(card, "cmdline.txt")
    assert "systemd.run=/boot/firmware/firstrun.sh" in line
    assert line.startswith(pi_card.CMDLINE["bookworm"].strip())
    script = tmp_path / "firstrun.sh"
    script.write_text(boot_file(card, "firstrun.sh"))
    subprocess.run(["sh", "-n", script], check=True)
    assert read_card(card).fat().read("user-data") is None


def test_an_authority_gives_each_card_a_token_of_its_own(trixie: Path, tmp_path: Path) -> None:
    roost("pki", "init", "hens", "--authority", tmp_path / "ca", "--root-keys", tmp_path / "stick")
    settings = tmp_path / "roost.toml"
    settings.write_text('[node]\nname = "any"\n')
    roost(
        "image", "personalise", trixie, "--prefix", "coop-", "--count", "3", "--overlay",
        "--output", tmp_path / "cards",
        "--authority", tmp_path / "ca", *DESK, "--settings", settings,
    )  # fmt: skip
    seeds = [read_seed(folder / "roost") for folder in sorted((tmp_path / "cards").iterdir())]
    assert [seed.name for seed in seeds] == ["coop-1", "coop-2", "coop-3"]
    assert len({seed.token for seed in seeds}) == 3
    assert all(seed.ca.startswith("-----BEGIN CERTIFICATE") for seed in seeds)
    assert 'name = "coop-2"' in (tmp_path / "cards/coop-2/roost/roost.toml").read_text()
    files = [path for path in (tmp_path / "cards").rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    with Authority(tmp_path / "ca") as authority:
        now = int(datetime.now(UTC).timestamp())
        assert {token.name for token in authority.ledger.open_tokens(now)} == {"coop-1", "coop-2", "coop-3"}
        week = int(timedelta(days=7).total_seconds())
        assert all(0 < token.until - now <= week and token.uses == 1 for token in authority.ledger.open_tokens(now))


def test_the_token_of_a_card_that_could_not_be_made_is_taken_back(trixie: Path, tmp_path: Path) -> None:
    roost("pki", "init", "hens", "--authority", tmp_path / "ca", "--root-keys", tmp_path / "stick")
    (tmp_path / "cards" / "coop-2").mkdir(parents=True)  # in the way
    roost(
        "image", "personalise", trixie, "--prefix", "coop-", "--count", "3", "--overlay",
        "--output", tmp_path / "cards",
        "--authority", tmp_path / "ca", *DESK, status=1,
    )  # fmt: skip
    with Authority(tmp_path / "ca") as authority:
        now = int(datetime.now(UTC).timestamp())
        assert [token.name for token in authority.ledger.open_tokens(now)] == ["coop-1"]


@pytest.mark.parametrize("release", ["trixie", "bookworm"])
def test_a_folder_made_for_a_card_gives_the_same_card_in_place(
    release: str, tmp_path: Path, seed: Path, key: Path, request: pytest.FixtureRequest
) -> None:
    image = request.getfixturevalue(release)
    common = ("--name", "coop-7", "--seed", seed, "--user", "keeper", "--ssh-key", key)
    roost("image", "personalise", image, *common, "--output", tmp_path / "whole.img")
    roost("image", "personalise", image, *common, "--output", tmp_path / "cards", "--overlay")
    copy_sparse(image, tmp_path / "card.img", Silent())
    roost("image", "personalise", tmp_path / "card.img", "--in-place", "--card", tmp_path / "cards" / "coop-7")
    one, other = read_card(tmp_path / "whole.img").fat(), read_card(tmp_path / "card.img").fat()
    assert sorted(one.names()) == sorted(other.names())
    for name in one.names():
        if not name.endswith("/"):
            assert one.read(name) == other.read(name), name


def test_a_folder_for_another_kind_of_image_is_refused_and_nothing_is_changed(
    trixie: Path, bookworm: Path, tmp_path: Path
) -> None:
    roost("image", "personalise", bookworm, "--name", "coop-7", "--output", tmp_path, "--overlay")
    copy_sparse(trixie, tmp_path / "card.img", Silent())
    before = (tmp_path / "card.img").read_bytes()
    roost("image", "personalise", tmp_path / "card.img", "--in-place", "--card", tmp_path / "coop-7", status=1)
    assert (tmp_path / "card.img").read_bytes() == before


def test_personalising_twice_replaces_what_was_there(trixie: Path, tmp_path: Path) -> None:
    copy_sparse(trixie, tmp_path / "card.img", Silent())
    roost("image", "personalise", tmp_path / "card.img", "--in-place", "--name", "coop-7")
    roost("image", "personalise", tmp_path / "card.img", "--in-place", "--name", "coop-8")
    assert yaml.safe_load(boot_file(tmp_path / "card.img", "user-data"))["hostname"] == "coop-8"
    assert boot_file(tmp_path / "card.img", "cmdline.txt").count("ds=nocloud") == 1


def test_the_image_is_written_packed_when_the_name_says_so(trixie: Path, tmp_path: Path) -> None:
    roost("image", "personalise", trixie, "--name", "coop-7", "--output", tmp_path / "c.img.zst")
    unpack(tmp_path / "c.img.zst", tmp_path / "c.img", Silent())
    assert yaml.safe_load(boot_file(tmp_path / "c.img", "user-data"))["hostname"] == "coop-7"
    assert stat.S_IMODE((tmp_path / "c.img.zst").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.img", "c.img.zst"]


def test_a_boot_partition_without_room_is_refused_and_nothing_is_left_behind(trixie: Path, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(pi_card.BOOT_SIZE)
    with pytest.raises(Misuse, match="free and 66 MB are needed"):
        make(trixie, tmp_path / "out" / "c.img", {"roost/kit.tar": large}, Silent())
    assert list((tmp_path / "out").iterdir()) == []


def test_a_card_that_was_started_already_is_not_personalised(tmp_path: Path) -> None:
    content = pi_os("trixie")
    content.links["var/lib/cloud/instance"] = "instances/roost-1"
    result = roost("image", "personalise", make_card(tmp_path, content), "--name", "x", "--in-place", status=1)
    assert isinstance(result.exception, UnreadableImage)
    assert "started already" in str(result.exception)


def test_an_image_that_takes_no_identity_is_refused(tmp_path: Path) -> None:
    content = pi_os("bookworm")
    for path in ("etc/rpi-issue", "usr/lib/raspberrypi-sys-mods/imager_custom"):
        del content.root[path]
    result = roost("image", "personalise", make_card(tmp_path, content), "--name", "x", "--in-place", status=1)
    assert "neither cloud-init nor" in str(result.exception)


def test_an_image_whose_boot_partition_is_empty_is_refused(tmp_path: Path) -> None:
    image = make_card(tmp_path, pi_os("trixie"))
    pi_card.run("mkfs.vfat", "-F", "32", f"--offset={BOOT_AT // 512}", str(image), str(pi_card.BOOT_SIZE // 1024))
    result = roost("image", "personalise", image, "--name", "x", "--in-place", status=1)
    assert "no boot partition" in str(result.exception)


def test_an_image_without_a_boot_partition_is_refused(tmp_path: Path) -> None:
    image = make_card(tmp_path, Content(boot={"README": "x"}, root=pi_os("trixie").root))
    result = roost("image", "personalise", image, "--name", "x", "--in-place", status=1)
    assert "no boot partition" in str(result.exception)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--name", "a", "--in-place", "--overlay"),
        ("--name", "a", "--count", "2"),
        ("--prefix", "a-", "--count", "2", "--output", "one.img"),
        ("--name", "a", "--ssh-key", "nobody.pub"),
        ("--name", "a", "--desk", "https://x:1"),
        ("--name", "a", "--authority", "ca"),
        ("--name", "Bad Name"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_written(
    trixie: Path, tmp_path: Path, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    roost("image", "personalise", trixie, *arguments, status=1)
    assert list(tmp_path.iterdir()) == []


def test_a_half_written_card_has_no_name(trixie: Path, tmp_path: Path) -> None:
    class Unplugged(Silent):
        def progress(self, done: int, total: int | None) -> None:
            raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        make(trixie, tmp_path / "c.img", {}, Unplugged())
    assert list(tmp_path.iterdir()) == []


def test_put_reads_back_what_it_wrote(trixie: Path, tmp_path: Path) -> None:
    copy_sparse(trixie, tmp_path / "card.img", Silent())
    files = {"roost/a-long name with blanks.toml": b"x" * 70_000, "ROOST/other": b"", "cmdline.txt": b"new\n"}
    put(tmp_path / "card.img", files)
    fat = read_card(tmp_path / "card.img").fat()
    assert {name: fat.read(name) for name in files} == files
    assert shutil.which("fsck.vfat") is None or not fsck(tmp_path / "card.img")


def fsck(image: Path) -> str:
    """What fsck.vfat has against the boot partition."""
    part = image.with_suffix(".fat")
    with image.open("rb") as file:
        file.seek(BOOT_AT)
        part.write_bytes(file.read(pi_card.BOOT_SIZE))
    done = subprocess.run(["fsck.vfat", "-n", part], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout
