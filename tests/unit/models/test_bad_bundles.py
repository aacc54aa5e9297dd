"""Each kind of bad bundle is refused with a reason of its own, and a remedy."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roost_broker.errors import Malformed, Misuse
from roost_models.bundle.environment import check_environment
from roost_models.bundle.folder import Bundle
from roost_models.bundle.opening import open_bundle
from roost_models.bundle.packing import pack

Edit = Callable[[dict[str, Any]], None]


def edit_manifest(root: Path, edit: Edit) -> None:
    manifest = json.loads((root / "manifest.json").read_bytes())
    edit(manifest)
    (root / "manifest.json").write_text(json.dumps(manifest))


def field(name: str, value: Any) -> Edit:
    return lambda manifest: manifest.__setitem__(name, value)


ENTRY = {"sha256": "0" * 64, "bytes": 1}
MANIFESTS: dict[str, tuple[Edit, str]] = {
    "a schema of the future": (field("schema", "roost.bundle/9"), "roost.bundle/9"),
    "no schema": (lambda m: m.pop("schema"), "schema"),
    "a misspelt field": (field("licens", "MIT"), "licens"),
    "a name with a space": (field("name", "my model"), "$.name"),
    "a name with a topic level": (field("name", "a/b"), "$.name"),
    "a version with a slash": (field("version", "../1"), "$.version"),
    "an unknown engine": (field("engine", "onnx"), "onnx"),
    "no licence": (field("licence", ""), "$.licence"),
    "no labels": (field("labels", []), "$.labels"),
    "a label twice": (field("labels", ["bright", "dark", "bright"]), "'bright' is listed twice"),
    "a path upwards": (lambda m: m["files"].update({"../evil": ENTRY}), "'../evil' cannot name a file"),
    "an absolute path": (lambda m: m["files"].update({"/etc/passwd": ENTRY}), "cannot name a file"),
    "a hidden file": (lambda m: m["files"].update({".git/config": ENTRY}), "cannot name a file"),
    "a path with a backslash": (lambda m: m["files"].update({"a\\b": ENTRY}), "cannot name a file"),
    "the manifest itself": (lambda m: m["files"].update({"Manifest.json": ENTRY}), "cannot name a file"),
    "names that differ by case": (lambda m: m["files"].update({"MODEL.py": ENTRY}), "when case is ignored"),
    "a file beyond the limit": (lambda m: m["files"]["model.py"].update(bytes=10**12), "$.files"),
    "files beyond the limit together": (
        lambda m: m["files"].update({f"f{n}": {"sha256": "0" * 64, "bytes": 250_000_000} for n in range(3)}),
        "are over the limit",
    ),
    "a digest that is none": (lambda m: m["files"]["model.py"].update(sha256="xyz"), "$.files"),
    "an entry that is not there": (field("entry", "other.py"), "'other.py' is not among the files"),
    "an entry of another engine": (field("engine", "tflite"), "ends in .tflite"),
    "a card that is not there": (field("card", "CARD.md"), "'CARD.md' is not among the files"),
    "a golden that is not there": (field("goldens", [{"input": "no.png"}]), "'no.png' is not among the files"),
    "a golden of a strange label": (
        field("goldens", [{"outputs": [{"label": "hen", "score": 1}]}]),
        "'hen', which is not a label",
    ),
    "a range upside down": (
        field("input", {"width": 8, "height": 8, "range": [1, 0]}),
        "low below high",
    ),
    "an enormous input": (field("input", {"width": 100_000, "height": 8}), "$.input.width"),
    "batches that do not begin with one": (field("batch", {"sizes": [4, 16]}), "begin with 1"),
    "batches that never fill": (
        lambda m: m.update(batch={"sizes": [1, 4]}, queue={"strategy": "batch", "max_waiting": 2}),
        "never fills",
    ),
    "a pin that is none": (field("runtime", {"python": "three"}), "'three' is not a version pin"),
    "a version with a line break": (field("version", "1.0\n"), "$.version"),
    "a pin of nothing": (field("runtime", {"packages": {"": ">=1"}}), "$.runtime.packages"),
    "a pin of a shell command": (field("runtime", {"engine": {"x'; reboot '": ">=1"}}), "$.runtime.engine"),
    "a pin of five thousand digits": (
        field("runtime", {"packages": {"numpy": ">=" + "9" * 5000}}),
        "is not a version pin",
    ),
    "a wildcard with an order": (field("runtime", {"packages": {"numpy": ">=1.*"}}), "is not a version pin"),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_with(name: str, make_bundle: Callable[..., Bundle]) -> None:
    bundle = make_bundle()
    edit, reason = MANIFESTS[name]
    edit_manifest(bundle.root, edit)
    with pytest.raises(Malformed) as refused:
        open_bundle(bundle.root)
    assert reason in refused.value.problem
    assert refused.value.remedy


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"[" * 100_000, b'{"schema":1}'])
def test_a_manifest_that_is_no_manifest_is_malformed(content: bytes, make_bundle: Callable[..., Bundle]) -> None:
    bundle = make_bundle()
    (bundle.root / "manifest.json").write_bytes(content)
    with pytest.raises(Malformed, match="is not a bundle manifest"):
        open_bundle(bundle.root)


def test_a_manifest_over_the_limit_is_refused_before_it_is_parsed(make_bundle: Callable[..., Bundle]) -> None:
    bundle = make_bundle()
    with (bundle.root / "manifest.json").open("ab") as file:
        file.write(b" " * 2_000_000)
    with pytest.raises(Malformed, match="over the limit"):
        open_bundle(bundle.root)


def truncate(root: Path) -> None:
    path = root / "model.py"
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(root: Path) -> None:
    with (root / "model.py").open("ab") as file:
        file.write(b"#")


def flip(root: Path) -> None:
    path = root / "model.py"
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.write_bytes(data)


def link(root: Path) -> None:
    path = root / "model.py"
    path.rename(root.parent / "elsewhere.py")
    path.symlink_to(root.parent / "elsewhere.py")


def link_folder(root: Path) -> None:
    (root / "goldens").rename(root.parent / "elsewhere")
    (root / "goldens").symlink_to(root.parent / "elsewhere")


FOLDERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated": (truncate, "'model.py' is not as sealed"),
    "longer": (lengthen, "when it was sealed"),
    "altered": (flip, "with other content"),
    "missing": (lambda root: (root / "model.py").unlink(), "'model.py' of the manifest is missing"),
    "extra": (lambda root: (root / "notes.txt").write_text("x"), "'notes.txt' is not in the manifest"),
    "hidden": (lambda root: (root / ".DS_Store").write_text("x"), "'.DS_Store' is not in the manifest"),
    "linked": (link, "not a plain file"),
    "in a linked folder": (link_folder, "is a link"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_file_that_is(name: str, make_bundle: Callable[..., Bundle]) -> None:
    bundle = make_bundle()
    damage, reason = FOLDERS[name]
    damage(bundle.root)
    with pytest.raises(Malformed) as refused:
        open_bundle(bundle.root)
    assert reason in refused.value.problem
    assert refused.value.remedy


def test_the_remedy_for_a_shortened_file_thinks_of_its_author_too(make_bundle: Callable[..., Bundle]) -> None:
    bundle = make_bundle()
    truncate(bundle.root)
    with pytest.raises(Malformed) as refused:
        open_bundle(bundle.root)
    assert "copy the bundle again" in refused.value.remedy
    assert "`roost bundle pack --seal`" in refused.value.remedy


def test_a_folder_without_a_manifest_and_a_path_to_nothing_are_misuse(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match=r"no readable manifest\.json"):
        open_bundle(tmp_path)
    with pytest.raises(Misuse, match="There is no bundle"):
        open_bundle(tmp_path / "nothing")


def test_a_file_altered_after_opening_is_refused_when_it_is_read(make_bundle: Callable[..., Bundle]) -> None:
    bundle = make_bundle()
    flip(bundle.root)
    with pytest.raises(Malformed, match="is not as sealed"):
        bundle.read("model.py")


@pytest.mark.parametrize(
    ("runtime", "sentence"),
    [
        ({"python": ">=4"}, r"needs Python >=4; this is 3\."),
        ({"packages": {"numpy": "<1"}}, r"needs numpy<1; numpy here is "),
        ({"packages": {"no-such-thing": ""}}, r"needs no-such-thing; no-such-thing is not installed"),
        (
            {"engine": {"tflite-runtime": "==0.1", "no-engine": ""}},
            r"needs tflite-runtime==0\.1 or no-engine",
        ),
    ],
)
def test_a_wrong_environment_is_refused_with_a_sentence(
    runtime: dict[str, Any], sentence: str, make_bundle: Callable[..., Bundle]
) -> None:
    bundle = make_bundle(runtime=runtime)
    with pytest.raises(Misuse, match=sentence) as refused:
        check_environment(bundle.manifest)
    assert refused.value.remedy


def test_the_digest_ignores_layout_and_sees_every_change(make_bundle: Callable[..., Bundle]) -> None:
    bundle = make_bundle()
    edit_manifest(bundle.root, lambda manifest: None)  # another layout
    assert open_bundle(bundle.root).digest == bundle.digest
    edit_manifest(bundle.root, field("description", "changed"))
    assert open_bundle(bundle.root).digest != bundle.digest


def test_a_file_that_cannot_be_read_is_a_reason_and_not_a_crash(make_bundle: Callable[..., Bundle]) -> None:
    bundle = make_bundle()
    (bundle.root / "model.py").unlink()  # between the check and the loading
    with pytest.raises(Malformed, match=r"'model\.py' cannot be read"):
        bundle.read("model.py")


def test_a_place_to_unpack_that_cannot_be_used_is_a_reason_and_not_a_crash(
    make_bundle: Callable[..., Bundle], tmp_path: Path
) -> None:
    packed = pack(make_bundle(), tmp_path / "x.roost")
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(Misuse, match="cannot be opened") as refused:
        open_bundle(packed, cache=tmp_path / "cache")
    assert refused.value.remedy
