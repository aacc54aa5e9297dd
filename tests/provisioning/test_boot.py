"""`scripts/boot-test` as a person runs it: an image that is built here goes through a device's first day."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LONGEST_S = 3 * 3600
PATIENCE = "6"
BOOT_TEST = (sys.executable, "-m", "roost_provisioning.boot_test")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its slow parts come from the cache, once they have been made."""
    path = tmp_path_factory.mktemp("image") / "roost-bookworm.img"
    program = (sys.executable, "-c", "from roost_provisioning.cli import main; raise SystemExit(main())")
    subprocess.run([*program, "image", "build", "--output", path], check=True, timeout=LONGEST_S)
    return path


def played(image: Path, keep: Path, *words: str) -> dict[str, Any]:
    done = subprocess.run(
        [*BOOT_TEST, "--image", str(image), "--keep", str(keep), "--patience", PATIENCE, "--json", *words],
        stdout=subprocess.PIPE,
        timeout=LONGEST_S,
        check=False,
    )
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["problems"] == []
    assert (done.returncode, report["ok"]) == (0, True)
    return report


def test_the_image_enrols_answers_survives_a_power_cut_and_stays_the_same_device(image: Path, tmp_path: Path) -> None:
    report = played(image, tmp_path / "kept")
    names = [step["name"] for step in report["steps"]]
    assert names == [
        "The image",
        "The authority and its desk",
        "A card for a new device",
        "First boot: it enrols",
        "Every role is ready",
        "It announces itself over TLS",
        "It is asked for `doctor`",
        "A rendered frame goes through the whole flow",
        "The plug is pulled in the middle",
        "What is on the card then",
        "It boots again",
        "Every role is ready",
        "A new frame goes through the flow",
        "It is asked for `doctor`",
        "The token is refused a second time",
        "It is switched off, and looked at",
    ]
    assert "device:coop-1, TLSv1.3" in next(step["found"] for step in report["steps"] if "TLS" in step["name"])


def test_the_image_boots_on_the_emulated_raspberry_pi_3(image: Path, tmp_path: Path) -> None:
    report = played(image, tmp_path / "kept", "--machine", "raspi3b")
    assert report["figures"]["login_s"] > 0
    console = (tmp_path / "kept" / "console-1.log").read_text(errors="replace")
    assert "Machine model: Raspberry Pi 3 Model B" in console
