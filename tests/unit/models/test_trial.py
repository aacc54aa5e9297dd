"""A bad model kills the child that tries it, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest

from roost_broker.errors import Malformed, Misuse
from roost_models.bundle.checking import check_bundle, show_bundle
from roost_models.bundle.folder import Bundle
from roost_models.bundle.trial import inspect_in_child, try_in_child
from roost_models.bundle.writing import new_bundle, seal, write_bundle


def test_goldens_that_fit_are_reported_with_times(make_bundle: Callable[..., Bundle]) -> None:
    bundle = make_bundle(goldens=[{"input": "goldens/ramps.png"}])
    trial = try_in_child(seal(bundle.root, goldens=True))
    assert trial.differences == []
    assert trial.goldens[0].outputs[0].score > 0.5
    assert trial.ms_by_batch[1] >= 0
    assert trial.rss_mb > 10


def test_goldens_alone_are_run_without_timing_batches(make_bundle: Callable[..., Bundle]) -> None:
    bundle = make_bundle(goldens=[{"input": "goldens/ramps.png"}])
    trial = try_in_child(seal(bundle.root, goldens=True), timed=False)
    assert (trial.differences, len(trial.goldens)) == ([], 1)
    assert trial.ms_by_batch == trial.failed_batches == {}


def test_a_golden_that_differs_is_named_with_both_scores(make_bundle: Callable[..., Bundle]) -> None:
    golden = {"input": "goldens/ramps.png", "outputs": [{"label": "dark", "score": 0.1}]}
    report = check_bundle(make_bundle(goldens=[golden]).root)
    assert not report.ok
    assert "dark scores 0.6078" in report.problems[0]
    assert "0.1000 ± 0.05" in report.problems[0]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("import os\nos._exit(7)", "status 7"),
        ("import sys\nsys.exit('no more')", "no more"),
        ("raise RuntimeError('broken')", "broken"),
        ("def predict(image, context): raise RuntimeError('broken')", "RuntimeError: broken"),
    ],
)
def test_a_model_that_ends_its_process_is_malformed_with_the_reason(
    source: str, reason: str, make_bundle: Callable[..., Bundle]
) -> None:
    bundle = make_bundle(source, goldens=[{"input": "goldens/ramps.png"}])
    with pytest.raises(Malformed, match=reason):
        try_in_child(bundle)


@pytest.mark.parametrize(
    ("fresh", "reason"),
    [("return {1: 2}", "does not come back from JSON"), ("raise KeyError('hen')", r"fresh\(\) raised KeyError")],
)
def test_a_model_that_remembers_and_cannot_begin_or_be_saved_is_found(
    fresh: str, reason: str, make_bundle: Callable[..., Bundle]
) -> None:
    source = f"def fresh():\n    {fresh}\n\ndef observe(memory, context):\n    return 1\n\n"
    source += "def predict(image, context):\n    return {'dark': 1.0}\n"
    bundle = make_bundle(source, pure=False, internal_state={"restore": "snapshot"})
    with pytest.raises(Malformed, match=reason):
        try_in_child(bundle)


def test_a_model_that_hangs_is_stopped_at_the_time_limit(make_bundle: Callable[..., Bundle]) -> None:
    with pytest.raises(Malformed, match=r"within 1\.5 s"):
        try_in_child(make_bundle("while True: pass"), timeout_s=1.5)


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_model_whose_digest_was_made_to_match_kills_only_the_child(
    damage: str, tflite_bundle: Bundle, tmp_path: Path
) -> None:
    """The digest proves only that the file is the one meant. tflite-runtime segfaults at such files."""
    data = bytearray(tflite_bundle.read("model.tflite"))
    if damage == "truncated":
        del data[len(data) // 2 :]
    else:
        for place in range(len(data) - 4000, len(data)):  # the graph lies at the end, behind the weights
            data[place] ^= 0xFF
    (tflite_bundle.root / "model.tflite").write_bytes(data)
    bundle = seal(tflite_bundle.root)
    with pytest.raises(Malformed) as refused:
        try_in_child(bundle)
    assert refused.value.remedy
    report = check_bundle(bundle.root)
    assert not report.ok
    (tmp_path / "damaged.tflite").write_bytes(data)
    with pytest.raises(Malformed):
        inspect_in_child(tmp_path / "damaged.tflite")


def test_check_reports_a_bad_bundle_instead_of_raising(tmp_path: Path) -> None:
    report = check_bundle(tmp_path)
    assert not report.ok
    assert "manifest.json" in report.problems[0]


def test_the_skeleton_checks_as_it_is_and_shows_itself(tmp_path: Path) -> None:
    bundle = new_bundle(tmp_path / "mine", name="mine", task="nest")
    report = check_bundle(bundle.root)
    assert report.ok
    assert report.digest == bundle.digest
    shown = show_bundle(bundle.root)
    assert shown["name"] == "mine"
    assert shown["digest"] == bundle.digest
    assert (bundle.root / "model.py").read_text().count("\n") < 20


def test_an_edited_folder_is_refused_until_it_is_sealed(tmp_path: Path) -> None:
    bundle = new_bundle(tmp_path / "mine", name="mine", task="nest")
    source = bundle.root / "model.py"
    source.write_text(source.read_text().replace("1 - brightness", "0.9 - brightness"))
    refused = check_bundle(bundle.root)
    assert "--seal" in refused.problems[0]
    assert seal(bundle.root).digest != bundle.digest
    stale = check_bundle(bundle.root)
    assert "dark scores" in stale.problems[0]
    seal(bundle.root, goldens=True)
    assert check_bundle(bundle.root).ok


@pytest.mark.parametrize("goldens", [True, False])
def test_sealing_that_fails_leaves_the_folder_as_it_was(goldens: bool, make_bundle: Callable[..., Bundle]) -> None:
    root = make_bundle(goldens=[{"input": "goldens/ramps.png"}]).root
    before = (root / "manifest.json").read_bytes()
    (root / "model.py").write_text("def predict(image, context): raise RuntimeError('half done')")
    if not goldens:
        (root / "no name for a file").write_text("x")
    with pytest.raises(Malformed, match="half done" if goldens else "cannot name a file"):
        seal(root, goldens=goldens)
    assert (root / "manifest.json").read_bytes() == before
    assert {path.name for path in root.glob("*.part")} == set()


@pytest.mark.parametrize(("name", "task", "problem"), [("a b/c", "t", "a model"), ("b", "a b", "a task")])
def test_a_name_that_cannot_be_one_is_refused_in_plain_words(
    name: str, task: str, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(Misuse, match=f"cannot be the name of {problem}") as refused:
        new_bundle(tmp_path / "mine", name=name, task=task)
    assert refused.value.remedy.startswith("Use letters, digits")
    assert not (tmp_path / "mine").exists()


def test_a_skeleton_is_not_made_in_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("dear")
    with pytest.raises(Misuse, match="is not a folder"):
        new_bundle(tmp_path / "mine", name="x", task="y")


def test_a_folder_with_anything_else_in_it_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to-mother.txt").write_text("dear")
    with pytest.raises(Exception, match="nothing was changed"):
        write_bundle(tmp_path / "letters", {}, {})
    with pytest.raises(Exception, match="is not empty"):
        new_bundle(tmp_path / "letters", name="x", task="y")
    assert (tmp_path / "letters" / "to-mother.txt").read_text() == "dear"


def test_the_project_of_a_web_application_is_no_bundle_to_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "my shop", "icons": []}')
    (tmp_path / "shop.js").write_text("years of work")
    with pytest.raises(Misuse, match="nothing was changed"):
        write_bundle(tmp_path, {}, {})
    assert (tmp_path / "shop.js").exists()


def test_a_bundle_with_a_file_of_somebody_elses_in_it_is_not_replaced(
    make_bundle: Callable[..., Bundle], tmp_path: Path
) -> None:
    bundle = make_bundle()
    (bundle.root / "notes.txt").write_text("what I tried")
    with pytest.raises(Misuse, match=r"'notes\.txt', which is not of the bundle"):
        write_bundle(bundle.root, {}, {})
    assert (bundle.root / "notes.txt").exists()


def test_what_a_model_prints_does_not_spoil_its_trial(make_bundle: Callable[..., Bundle]) -> None:
    source = "print('loading')\ndef predict(image, context):\n    print('hello')\n    return {'bright': 1.0}\n"
    assert check_bundle(make_bundle(source, goldens=[{"input": "goldens/ramps.png"}]).root).ok
