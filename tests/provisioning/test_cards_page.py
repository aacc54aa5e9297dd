"""Each command of docs/cards.md, run as it is written; only what writes to a real card is not."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from card_commands import roost
from pi_card import MB, make_card, pi_os

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs" / "cards.md").read_text(encoding="utf-8")
_CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OFFICIAL = "2025-05-13-raspios-bookworm-arm64-lite.img.xz"


def commands() -> list[list[str]]:
    """The words of each `roost` command of the page, in its order."""
    lines = "".join(_CONSOLE.findall(PAGE)).replace("\\\n", " ").splitlines()
    words = [shlex.split(line.removeprefix("$ "), comments=True) for line in lines if line.startswith("$ ")]
    return [one[1:] for one in words if one[0] == "roost"]


def test_the_page_works_from_its_first_command_to_its_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "provisioning").symlink_to(CHECKOUT / "provisioning")
    image = make_card(tmp_path, pi_os("trixie"), name="roost.img")
    for packer in (["zstd", "-q", "-3"], ["xz", "-k", "-0"]):
        subprocess.run([*packer, image], check=True)
    official = make_card(tmp_path, pi_os("bookworm"), name=OFFICIAL.removesuffix(".xz"), boot_size=512 * MB)
    subprocess.run(["xz", "-T0", "-0", official], check=True)
    (tmp_path / "device.toml").write_text('[node]\nname = "any"\n')
    roost("pki", "init", "hens", "--authority", "authority", "--root-keys", "stick")
    told = commands()
    assert len(told) == 6
    for words in told:
        # The page is read in a checkout; the test is not in one.
        roost(*words, *(("--source", CHECKOUT) if words[1] == "customise" else ()))
        if words[1] == "personalise" and "--overlay" not in words:
            (tmp_path / "coop-7.img").unlink()  # the page makes one card of this name in two ways
    assert len(list((tmp_path / "cards").iterdir())) == 30
    assert (tmp_path / "roost.rpi-imager-manifest").exists()


def test_the_page_shows_every_command_of_the_group() -> None:
    shown = set(re.findall(r"roost image (\w+)", PAGE))
    assert shown == {"build", "inspect", "personalise", "customise", "manifest", "write"}
