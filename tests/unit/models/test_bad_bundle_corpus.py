"""More of the corpus of bad bundles (see test_bad_bundles, test_packing): hostile numbers, names, depths, goldens."""

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roost_broker.errors import Malformed
from roost_models.bundle.checking import check_bundle
from roost_models.bundle.folder import Bundle
from roost_models.bundle.opening import open_bundle
from roost_models.bundle.packing import pack

DEEP = b'{"schema":"roost.bundle/1","training":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}"
EDITS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a negative size": (lambda m: m["files"]["model.py"].update(bytes=-1), ">= 0"),
    "half a byte": (lambda m: m["files"]["model.py"].update(bytes=1.5), "Expected `int`"),
    "a size beyond every integer": (lambda m: m["files"]["model.py"].update(bytes=10**40), "$.files"),
    "a licence that is a list": (lambda m: m.update(licence=["MIT"]), "$.licence"),
    "a licence without end": (lambda m: m.update(licence="x" * 10_000), "$.licence"),
    "a digest in capitals": (lambda m: m["files"]["model.py"].update(sha256="A" * 64), "$.files"),
    "a file name of bytes that are no text": (
        lambda m: m["files"].update({"m\udcff.py": {"sha256": "0" * 64, "bytes": 1}}),
        "not a bundle manifest",
    ),
    "a tolerance above everything": (lambda m: m.update(goldens=[{"tolerance": 2}]), "tolerance"),
    "a thousand files": (
        lambda m: m["files"].update({f"f{n}": {"sha256": "0" * 64, "bytes": 1} for n in range(1000)}),
        "$.files",
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_manifest_with(name: str, make_bundle: Callable[..., Bundle]) -> None:
    edit, reason = EDITS[name]
    bundle = make_bundle()
    manifest = json.loads((bundle.root / "manifest.json").read_bytes())
    edit(manifest)
    (bundle.root / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(Malformed) as refused:
        open_bundle(bundle.root)
    assert reason in str(refused.value)
    assert refused.value.remedy


def test_a_manifest_that_is_nested_beyond_reason_is_malformed(make_bundle: Callable[..., Bundle]) -> None:
    bundle = make_bundle()
    (bundle.root / "manifest.json").write_bytes(DEEP)
    with pytest.raises(Malformed, match="not a bundle manifest"):
        open_bundle(bundle.root)


def test_a_file_whose_name_is_no_text_is_refused_in_a_folder(make_bundle: Callable[..., Bundle]) -> None:
    bundle = make_bundle()
    (Path(os.fsdecode(os.fsencode(bundle.root) + b"/bad\xff.bin"))).write_bytes(b"x")
    with pytest.raises(Malformed, match="is not in the manifest"):
        open_bundle(bundle.root)


def test_a_file_whose_name_is_no_ascii_is_refused_in_a_packed_bundle(
    make_bundle: Callable[..., Bundle], tmp_path: Path
) -> None:
    packed = pack(make_bundle(), tmp_path / "x.roost")
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr("b\xe4d.bin", b"x")
    with pytest.raises(Malformed, match="cannot name a file"):
        open_bundle(packed, cache=tmp_path / "cache")


def test_a_golden_that_gives_another_answer_is_said_with_both_scores(make_bundle: Callable[..., Bundle]) -> None:
    wrong = {"input": "goldens/ramps.png", "outputs": [{"label": "bright", "score": 0.01}], "tolerance": 0.001}
    report = check_bundle(make_bundle(goldens=[wrong]).root)
    assert not report.ok
    assert "bright scores" in report.problems[0]
    assert "the manifest says 0.0100" in report.problems[0]
