"""What the page about the loop has people write into files is accepted as it stands there."""

import re
import shutil
from pathlib import Path

import pytest

from roost_edge.cli import main
from roost_models.assessment.gate import parse_gate

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "the-loop.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
EXAMPLES = ROOT / "edge" / "roost_edge" / "examples"


def only(word: str) -> str:
    (block,) = (block for block in BLOCKS if word in block)
    return str(block)


def test_the_sections_for_the_device_pass_the_check_of_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "models" / "henhouse" / "bundles", tmp_path / "bundles")
    shutil.copy(EXAMPLES / "henhouse-schedule.toml", tmp_path)
    (tmp_path / "root.json").write_bytes(b"{}")
    section = "[tasks.henhouse.models.champion]\n"
    device = (EXAMPLES / "henhouse.toml").read_text(encoding="utf-8")
    assert section in device
    assert 'Add `ota = "breeds"` below `[tasks.henhouse.models.champion]`' in PAGE
    device = device.replace(section, f'{section}ota = "breeds"\n') + only("busy = { motion = false }")
    (tmp_path / "roost.toml").write_text(device, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["roost", "config", "check"])
    try:
        status = main()
    except SystemExit as end:
        status = int(end.code or 0)
    assert status == 0, capsys.readouterr().err


def test_the_gate_for_few_labels_is_a_gate_and_names_what_few_labels_cannot_show() -> None:
    shipped = (ROOT / "models" / "roost_models" / "assessment" / "default_gate.toml").read_text(encoding="utf-8")
    lines = only("not_enough_is_no_hindrance").splitlines()
    names = [line.partition(" =")[0] for line in lines]
    kept = [line for line in shipped.splitlines() if line.partition(" ")[0] not in names]
    gate, usual = parse_gate("\n".join([*kept, *lines])), parse_gate(shipped)
    assert gate.not_enough_is_no_hindrance == ["max_drop_by_label"]
    assert (gate.min_labelled or 0) < (usual.min_labelled or 0)
    assert gate.max_drop_by_label == usual.max_drop_by_label
