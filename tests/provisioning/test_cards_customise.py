"""Official images that get Roost: what is put on them, and which images and kits are refused.

The images are laid out as Raspberry Pi OS is; no official one was at hand. What the script does on a device is tried in
test_cards_install.py.
"""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
import yaml
from card_commands import boot_file, roost, told
from pi_card import make_card, pi_os

from roost_broker.errors import Malformed, Misuse
from roost_provisioning.image.card_reading import read_card
from roost_provisioning.image.customise import check_kit
from roost_provisioning.image.recipe import RELEASES

OWN = "roost-0.1.0-py3-none-any.whl"
WHEELS = (
    "packages/numpy-1.26.4-cp311-cp311-manylinux_2_17_aarch64.manylinux2014_aarch64.whl",
    "packages/cryptography-50.0.2-cp311-abi3-manylinux_2_34_aarch64.whl",
    "packages/rich-15.0.0-py3-none-any.whl",
)
BUNDLE = Path(__file__).parents[2] / "models/henhouse/bundles/rules"
LOCK = "numpy==1.26.4 \\\n    --hash=sha256:00\ncryptography==50.0.2\nrich==15.0.0\n"


def kit(folder: Path, *, wheels: tuple[str, ...] = WHEELS, own: str = OWN, lock: str | None = LOCK) -> Path:
    """A kit with these names in it, and nothing in the files."""
    path = folder / "roost-0.1.0-abc.tar"
    with tarfile.open(path, "w") as tar:
        for name, text in {
            own: "",
            **({"requirements.txt": lock} if lock is not None else {}),
            **dict.fromkeys(wheels, ""),
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


def test_bookworm_runs_the_installation_from_its_first_run_script(tmp_path: Path) -> None:
    image = make_card(tmp_path, pi_os("bookworm"))
    before = image.read_bytes()
    said = told("image", "customise", image, "--kit", kit(tmp_path), "--output", tmp_path / "new.img")
    assert (said["release"], said["first_boot"]) == ("bookworm", "firstrun")
    assert image.read_bytes() == before
    new = tmp_path / "new.img"
    assert "systemd.run=/boot/firmware/firstrun.sh" in boot_file(new, "cmdline.txt")
    assert "sh /boot/firmware/roost/install.sh arm" in boot_file(new, "firstrun.sh")
    assert boot_file(new, "roost/python") == "3.11\n"
    assert boot_file(new, "roost/packages").split() == ["mosquitto", "mosquitto-clients", "python3-venv"]
    sums = dict(reversed(line.split()) for line in boot_file(new, "roost/SHA256SUMS").splitlines())
    content = read_card(new).fat().read("roost/kit.tar")
    assert content is not None
    assert sums == {"kit.tar": hashlib.sha256(content).hexdigest()}


def test_trixie_runs_the_installation_from_cloud_init(tmp_path: Path) -> None:
    image = make_card(tmp_path, pi_os("trixie"))
    wheels = tuple(name.replace("numpy-1.26.4-cp311-cp311", "numpy-2.2.6-cp313-cp313") for name in WHEELS)
    said = told("image", "customise", image, "--kit", kit(tmp_path, wheels=wheels), "--output", tmp_path / "new.img")
    assert (said["release"], said["first_boot"]) == ("trixie", "cloud-init")
    user = yaml.safe_load(boot_file(tmp_path / "new.img", "user-data"))
    assert ["sh", "/boot/firmware/roost/install.sh", "arm"] in user["runcmd"]
    assert ["systemctl", "start", "--no-block", "install-roost.service"] in user["runcmd"]
    assert "hostname" not in user  # it is for any number of cards


def test_the_first_trixie_which_had_no_cloud_init_gets_the_script(tmp_path: Path) -> None:
    image = make_card(tmp_path, pi_os("trixie", cloud_init=False))
    wheels = ("packages/rich-15.0.0-py3-none-any.whl",)
    said = told(
        "image",
        "customise",
        image,
        "--kit",
        kit(tmp_path, wheels=wheels, lock="rich==15\n"),
        "--output",
        tmp_path / "n.img",
    )
    assert said["first_boot"] == "firstrun"


@pytest.mark.parametrize("release", ["bookworm", "trixie"])
def test_cards_are_made_from_a_customised_image_and_still_install(release: str, tmp_path: Path) -> None:
    image = make_card(tmp_path, pi_os(release))
    own = kit(tmp_path, wheels=("packages/rich-15.0.0-py3-none-any.whl",), lock="rich==15\n")
    roost("image", "customise", image, "--kit", own, "--output", tmp_path / "new.img")
    roost("image", "personalise", tmp_path / "new.img", "--name", "coop-7", "--output", tmp_path / "card.img")
    said = boot_file(tmp_path / "card.img", "firstrun.sh" if release == "bookworm" else "user-data")
    assert "coop-7" in said
    assert "/boot/firmware/roost/install.sh" in said
    assert read_card(tmp_path / "card.img").fat().read("roost/kit.tar") == own.read_bytes()


def test_imager_is_told_to_leave_a_customised_image_alone(tmp_path: Path) -> None:
    image = make_card(tmp_path, pi_os("bookworm"))
    roost("image", "customise", image, "--kit", kit(tmp_path), "--output", tmp_path / "new.img")
    listed = json.loads(roost("image", "manifest", image, tmp_path / "new.img").stdout)["os_list"]
    assert [entry["init_format"] for entry in listed] == ["systemd", "none"]
    assert listed[0]["devices"] == ["pi4-64bit", "pi3-64bit"]
    assert listed[0]["extract_sha256"] == hashlib.sha256(image.read_bytes()).hexdigest()
    assert listed[0]["extract_size"] == image.stat().st_size


def test_a_list_never_hands_round_what_is_one_devices(tmp_path: Path) -> None:
    content = pi_os("trixie")
    content.boot["roost/seed.toml"] = '[enrol]\nurl = "https://a:1"\ntoken = "x"\n'
    refused = roost("image", "manifest", make_card(tmp_path, content), "--output", tmp_path / "l.json", status=1)
    assert "not to be handed round" in str(refused.exception)
    assert not (tmp_path / "l.json").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("32 bits", "64-bit"),
        ("bullseye", "no wheels for bullseye"),
        ("Ubuntu", "not understood"),
        ("Roost", "has Roost already"),
    ],
)
def test_an_image_that_is_not_understood_is_refused_and_says_what_it_is(
    change: str, words: str, tmp_path: Path
) -> None:
    content = pi_os("bookworm", architecture="armhf" if change == "32 bits" else "aarch64")
    if change == "bullseye":
        content.root["usr/lib/os-release"] = content.root["usr/lib/os-release"].replace("bookworm", "bullseye")
    if change == "Ubuntu":
        for path in ("etc/rpi-issue", "usr/lib/raspberrypi-sys-mods/imager_custom"):
            del content.root[path]
        content.root["usr/bin/cloud-init"] = "x"
    if change == "Roost":
        content.root["opt/roost/venv/pyvenv.cfg"] = "x"
    image = make_card(tmp_path, content)
    refused = roost("image", "customise", image, "--kit", kit(tmp_path), "--output", tmp_path / "new.img", status=1)
    assert isinstance(refused.exception, Misuse)
    assert words in str(refused.exception)
    assert refused.exception.remedy
    assert not (tmp_path / "new.img").exists()


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("no kit", {"lock": None}),
        ("no kit", {"own": "other-0.1.0-py3-none-any.whl"}),
        ("2 of 3 packages", {"wheels": WHEELS[:2]}),
        ("for another system", {"wheels": (WHEELS[0].replace("aarch64", "x86_64"), *WHEELS[1:])}),
        ("for another system", {"wheels": (WHEELS[0].replace("cp311", "cp313"), *WHEELS[1:])}),
    ],
)
def test_a_kit_that_the_device_could_not_install_is_refused(
    words: str, changes: dict[str, object], tmp_path: Path
) -> None:
    with pytest.raises((Misuse, Malformed), match=words):
        check_kit(kit(tmp_path, **changes), RELEASES["bookworm"])


def test_what_is_no_tar_file_is_no_kit(tmp_path: Path) -> None:
    (tmp_path / "kit.tar").write_bytes(b"x" * 5000)
    with pytest.raises(Malformed, match="no kit"):
        check_kit(tmp_path / "kit.tar", RELEASES["bookworm"])


def test_bundles_and_deb_files_come_along_and_are_in_the_list_of_sums(tmp_path: Path) -> None:
    (tmp_path / "debs").mkdir()
    (tmp_path / "debs" / "mosquitto_2.0.11-1_arm64.deb").write_bytes(b"deb")
    image = make_card(tmp_path, pi_os("bookworm"))
    roost(
        "image", "customise", image, "--kit", kit(tmp_path), "--output", tmp_path / "new.img",
        "--debs", tmp_path / "debs", "--bundle", BUNDLE, "--package", "python3-picamera2",
    )  # fmt: skip
    fat = read_card(tmp_path / "new.img").fat()
    for path in sorted(one for one in BUNDLE.rglob("*") if one.is_file()):
        assert fat.read(f"roost/bundles/rules/{path.relative_to(BUNDLE)}") == path.read_bytes()
    listed = [line.split()[1] for line in fat.text("roost/SHA256SUMS").splitlines()]
    assert {"kit.tar", "debs/mosquitto_2.0.11-1_arm64.deb", "bundles/rules/manifest.json"} <= set(listed)
    assert fat.text("roost/packages").split()[-1] == "python3-picamera2"


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("no package for this system", ("--debs", "debs")),
        ("no name of a package", ("--package", "a; reboot")),
        ("no bundle", ("--bundle", "none")),
    ],
)
def test_what_cannot_come_along_is_refused(
    words: str, arguments: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "debs").mkdir()
    (tmp_path / "debs" / "mosquitto_2.0.11-1_amd64.deb").write_bytes(b"deb")
    image = make_card(tmp_path, pi_os("bookworm"))
    refused = roost("image", "customise", image, "--kit", kit(tmp_path), "--output", "new.img", *arguments, status=1)
    assert words in str(refused.exception)
    assert not Path("new.img").exists()
