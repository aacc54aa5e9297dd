"""A candidate against the champion on a real archive, each in real child processes."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from roost_broker.errors import Misuse
from roost_models.archive.cases import open_cases
from roost_models.assessment.assessing import Wanted, assess
from roost_models.assessment.child import Limits
from roost_models.assessment.gate import Gate
from roost_models.assessment.report import Assessment, parse, render
from roost_models.assessment.truth import Truth
from roost_models.bundle.folder import Bundle
from roost_models.bundle.goldens import ramps
from roost_models.bundle.writing import write_bundle
from roost_models.inference.images import encode_png

DARKER = """
def predict(image, context):
    brightness = float(image.mean()) / 255 * 0.8
    return {"bright": brightness, "dark": 1 - brightness}
"""
COUNTS = """
def fresh():
    return {"seen": 0}

def observe(memory, context):
    memory["seen"] += 1
    return memory["seen"]

def predict(image, context):
    return {"bright": context.past / 1000, "dark": 0.5}
"""
REMEMBERS = {"pure": False, "internal_state": {"restore": "snapshot"}}
START_MS = 1_700_000_000_000


def evaluate(
    archive: Any, candidate: Bundle, champion: Bundle | None, gate: Gate | None = None, **options: Any
) -> Assessment:
    truth = options.pop("truth", None)
    wanted = Wanted(task="nest", archive="here", **{"workers": 1, **options})
    source = open_cases(archive.root)
    try:
        return assess(source, candidate, champion, wanted, gate or Gate(), truth=truth)
    finally:
        source.close()


def without_times(report: Assessment) -> Assessment:
    """What must be the same whoever evaluated."""
    sides = {
        name: None if side is None else msgspec.structs.replace(side, latency=None, memory=None, load_ms=None)
        for name, side in (("candidate_side", report.candidate_side), ("champion_side", report.champion_side))
    }
    empty = {"made_at_ms": 0, "seconds": 0.0, "workers": 1, "where": "", "device": None}
    return msgspec.structs.replace(report, ratios=type(report.ratios)(), **sides, **empty)


def test_a_model_against_itself_is_identical_in_everything(archive: Any, make_bundle: Any) -> None:
    archive.add(70)
    bundle = make_bundle()
    report = evaluate(archive, bundle, bundle, Gate(min_compared=70, max_risk=0.05))
    assert report.fault is None
    assert report.agreement is not None
    assert (report.agreement.compared, report.agreement.identical, report.agreement.risk) == (70, 70, 0.0)
    assert report.agreement.upper == pytest.approx(1 - 0.05 ** (1 / 70))
    assert report.accepted
    assert report.differing == []
    assert parse(render(report)) == report


def test_latency_and_memory_are_measured_of_each(archive: Any, make_bundle: Any) -> None:
    archive.add(40)
    hungry = make_bundle("BALLAST = bytes(1) * 60_000_000\n" + DARKER)
    report = evaluate(archive, hungry, make_bundle())
    assert report.champion_side is not None
    mine, other = report.candidate_side.memory, report.champion_side.memory
    assert mine is not None
    assert other is not None
    assert 40 < mine.peak_rss_mb - other.peak_rss_mb < 80
    assert report.candidate_side.latency is not None
    assert report.candidate_side.latency.count == 40
    assert report.ratios.p50 is not None


def test_accuracy_is_measured_where_it_is_labelled_and_who_is_worse_is_refused(archive: Any, make_bundle: Any) -> None:
    archive.add(60)
    archive.add(40, node="north")
    # Bright is what is brighter than the middle; the darker candidate misses those a little above it.
    levels = [*((n + 0.5) / 60 for n in range(60)), *((n + 0.5) / 40 for n in range(40))]
    labels = {sha: "bright" if level > 0.5 else "dark" for sha, level in zip(archive.pictures, levels, strict=True)}
    gate = Gate(max_drop=0.05, labelled_each=10, max_drop_by_label=0.05)
    report = evaluate(archive, make_bundle(DARKER), make_bundle(), gate, truth=Truth("somebody", labels))
    assert report.labelled is not None
    overall = report.labelled.overall
    assert overall.champion is not None
    assert (overall.candidate.of, overall.champion.count) == (100, 100)
    assert overall.candidate.count < 90
    assert set(report.labelled.by_site) == {"coop", "north"}
    assert report.labelled.by_label["dark"].candidate.share == 1
    assert report.labelled.paired is not None
    assert report.labelled.paired.only_candidate_right == 0
    assert [rule.outcome for rule in report.rules] == ["pass", "fail", "fail"]
    assert not report.accepted
    assert {one.frame for one in report.differing} <= set(archive.pictures)
    wrong = [one for one in report.differing if one.candidate.label != one.champion.label]
    assert all(one.truth == "bright" for one in wrong)


def test_two_workers_find_exactly_what_one_finds(archive: Any, make_bundle: Any) -> None:
    archive.add(150)
    candidate, champion = make_bundle(DARKER), make_bundle()
    truth = Truth("somebody", dict.fromkeys(archive.pictures[::3], "dark"))
    one = evaluate(archive, candidate, champion, workers=1, truth=truth)
    two = evaluate(archive, candidate, champion, workers=2, truth=truth)
    assert without_times(one) == without_times(two)
    assert two.workers == 2


def test_only_the_period_and_the_devices_asked_for_are_evaluated(archive: Any, make_bundle: Any) -> None:
    archive.add(30)
    archive.add(30, node="north")
    bundle = make_bundle()
    report = evaluate(archive, bundle, bundle, from_ms=START_MS + 10_000, until_ms=START_MS + 40_000)
    assert (report.period.requests, report.period.first_ms) == (30, START_MS + 10_000)
    assert report.period.last_ms == START_MS + 39_000
    assert evaluate(archive, bundle, bundle, nodes=frozenset({"north"})).period.nodes == ["north"]
    assert evaluate(archive, bundle, bundle, limit=7).period.requests == 7


def test_archived_scores_of_the_champion_are_reused_and_a_tenth_is_checked(archive: Any, make_bundle: Any) -> None:
    champion = make_bundle()
    archive.add(400, scores=champion)
    anew = evaluate(archive, make_bundle(DARKER), champion)
    again = evaluate(archive, make_bundle(DARKER, version="1.0"), champion, reuse=True)
    assert anew.champion_side is not None
    assert again.champion_side is not None
    assert (anew.champion_side.reproduced, anew.champion_side.archived_before) == (400, 400)
    # Chunks of 32: the first and the eleventh were evaluated.
    assert (again.champion_side.reused, again.champion_side.reproduced) == (400 - 64, 64)
    assert again.agreement == anew.agreement
    assert again.champion_side.latency is not None
    assert again.champion_side.latency.count == 64
    assert again.device is not None
    assert again.device.how.startswith("the champion's 400 archived times")


def test_a_champion_that_no_longer_says_what_it_said_is_remarked_on(archive: Any, make_bundle: Any) -> None:
    # It says something else in every process: what Roost calls not pure, and this bundle does not admit.
    fickle = make_bundle(
        "import os\ndef predict(image, context):\n    return {'bright': os.getpid() / 1e9, 'dark': 0.1}\n"
    )
    archive.add(20, scores=fickle)
    report = evaluate(archive, fickle, fickle)
    assert report.champion_side is not None
    assert (report.champion_side.reproduced, report.champion_side.archived_before) == (0, 20)
    assert any("not exact" in remark for remark in report.remarks)


def test_a_candidate_that_writes_into_its_picture_does_not_change_what_the_champion_sees(
    archive: Any, make_bundle: Any
) -> None:
    champion = make_bundle()
    archive.add(40, scores=champion)
    vandal = make_bundle("def predict(image, context):\n    image[:] = 0\n    return {'bright': 0.0, 'dark': 1.0}\n")
    report = evaluate(archive, vandal, champion)
    assert report.champion_side is not None
    assert report.candidate_side.failures == {}
    assert (report.champion_side.reproduced, report.champion_side.archived_before) == (40, 40)


def test_a_device_factor_that_is_told_makes_an_estimate_that_says_so(archive: Any, make_bundle: Any) -> None:
    archive.add(40)
    bundle = make_bundle()
    report = evaluate(archive, bundle, bundle, device_factor=10.0)
    assert report.device is not None
    assert report.candidate_side.latency is not None
    assert report.device.candidate_p50_ms == pytest.approx(10 * report.candidate_side.latency.p50_ms, rel=0.01)
    assert evaluate(archive, bundle, bundle).device is None


def test_a_model_that_remembers_saw_everything_before_the_period_too(archive: Any, make_bundle: Any) -> None:
    archive.add(20)
    archive.add(20, node="north")
    counts = make_bundle(COUNTS, **REMEMBERS)
    report = evaluate(archive, counts, make_bundle(), from_ms=START_MS + 10_000, workers=2)
    assert report.workers == 1
    assert (report.period.requests, report.fault) == (30, None)
    assert report.period.first_ms == START_MS + 10_000
    # The first that is compared is the eleventh that was observed: it is that sure that it is bright.
    first = evaluate(archive, counts, make_bundle(), from_ms=START_MS + 10_000, limit=1, tolerance=0.0)
    assert first.period.requests == 1
    (one,) = first.differing
    assert one.difference == pytest.approx(abs(11 / 1000 - 10.5 / 20), abs=0.01)
    whole = evaluate(archive, counts, counts)
    assert whole.agreement is not None
    assert whole.agreement.identical == 40  # each device counts for itself, the same in both


def test_without_a_champion_accuracy_is_all_there_is(archive: Any, make_bundle: Any) -> None:
    archive.add(40)
    truth = Truth("somebody", dict.fromkeys(archive.pictures, "bright"))
    gate = Gate(min_labelled=40, max_risk=0.1, not_enough_is_no_hindrance=["max_risk"])
    report = evaluate(archive, make_bundle(), None, gate, truth=truth)
    assert report.agreement is None
    assert report.champion_side is None
    assert report.labelled is not None
    assert report.labelled.overall.candidate.count == 20
    assert report.accepted


def test_a_frame_that_is_gone_is_skipped_with_its_reason(archive: Any, make_bundle: Any) -> None:
    archive.add(40)
    for sha in archive.pictures[:3]:
        (archive.root / "frames" / sha[:2] / f"{sha}.jpg").unlink()
    bundle = make_bundle()
    report = evaluate(archive, bundle, bundle)
    assert report.period.skipped == {"frame-missing": 3}
    assert report.agreement is not None
    assert report.agreement.compared == 37
    assert report.candidate_side.failures == {}


def test_a_model_of_another_task_is_misuse(archive: Any, make_bundle: Any) -> None:
    archive.add(1)
    with pytest.raises(Misuse, match="for the task door"):
        evaluate(archive, make_bundle(task="door"), make_bundle())


# -- a corpus of bad candidates: each ends as a report with its own reason ---------------------------------------


MISBEHAVES = """
calls = 0

def predict(image, context):
    global calls
    calls += 1
    if calls > {call}:
        {what}
    return {{"bright": 0.5, "dark": 0.5}}
"""


def raises_at(call: int, what: str) -> str:
    return MISBEHAVES.format(call=call, what=what)


BAD = {
    "hangs while loading": ("def load(folder):\n    while True: pass\n" + DARKER, "hung", ""),
    "hangs at a request": (raises_at(5, "import time; time.sleep(1e6)"), "hung", 5),
    "hangs only later": (raises_at(110, "import time; time.sleep(1e6)"), "hung", 110),
    "hogs memory while loading": ("BALLAST = b'x' * 2_000_000_000\n" + DARKER, "memory", ""),
    "hogs memory at a request": (raises_at(5, "image = b'x' * 2_000_000_000"), "memory", 5),
    "hogs memory bit by bit": ("kept = []\n" + raises_at(5, "while True: kept.append(bytes(1_000_000))"), "memory", 5),
    "ends its process": (raises_at(5, "import os; os._exit(7)"), "ended", 5),
    "kills its process": (raises_at(5, "import os; os.kill(os.getpid(), 11)"), "killed", 5),
    "does not compile": ("def predict(", "unusable", ""),
    "wants a package that is not there": ("import no_such_package\n" + DARKER, "unusable", ""),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_candidate_ends_as_a_refused_report_that_names_it_and_the_request(
    name: str, archive: Any, make_bundle: Any
) -> None:
    archive.add(130)
    source, reason, at = BAD[name]
    limits = Limits(memory_mb=300, step_s=1.5, load_s=3.0 if "loading" in name else 60.0)
    report = evaluate(archive, make_bundle(source), make_bundle(), limits=limits)
    assert report.fault is not None
    assert (report.fault.who, report.fault.reason) == ("candidate", reason), report.fault
    assert report.fault.request_id == ("" if at == "" else f"{int(at):032x}")
    assert not report.accepted
    assert parse(render(report)) == report


def test_goldens_that_differ_are_a_fault_and_nothing_is_replayed(archive: Any, make_bundle: Any) -> None:
    archive.add(5)
    golden = {"input": "goldens/ramps.png", "outputs": [{"label": "bright", "score": 0.99}], "tolerance": 0.01}
    candidate = make_bundle(files={"goldens/ramps.png": encode_png(ramps())}, goldens=[golden])
    report = evaluate(archive, candidate, make_bundle())
    assert report.fault is not None
    assert (report.fault.who, report.fault.reason) == ("candidate", "goldens")
    assert "bright scores" in report.fault.detail
    assert report.period.requests == 0


def test_a_truncated_network_sealed_as_if_it_were_whole_kills_its_own_process_only(
    archive: Any, make_bundle: Any, champion: Bundle, tmp_path: Path
) -> None:
    archive.add(5)
    manifest = msgspec.to_builtins(champion.manifest)
    kept = ("name", "version", "engine", "labels", "input", "output", "licence")
    fields = {key: manifest[key] for key in kept} | {"entry": "model.tflite", "task": "nest"}
    whole = champion.read(champion.manifest.entry)
    for share in (0.3, 0.7, 0.95):
        cut = write_bundle(tmp_path / f"cut-{share}", fields, {"model.tflite": whole[: int(len(whole) * share)]})
        report = evaluate(archive, cut, make_bundle())
        assert report.fault is not None
        assert report.fault.who == "candidate"
        # What a cut network does is nobody's choice: a length that is rubbish may ask for all the memory there is.
        assert report.fault.reason in ("killed", "environment", "unusable", "memory")
        assert not report.accepted


def test_labels_that_are_not_its_own_are_failures_at_each_request(archive: Any, make_bundle: Any) -> None:
    archive.add(20)
    wrong = make_bundle("def predict(image, context):\n    return {'bright': 0.5, 'hen': 0.5}\n")
    report = evaluate(archive, wrong, make_bundle(), Gate(max_failures=0))
    assert report.fault is None
    assert report.candidate_side.failures == {"failed": 20}
    assert "not one of its labels" in report.candidate_side.first_failure
    assert not report.accepted


def test_a_vocabulary_other_than_the_labels_is_remarked_on(archive: Any, make_bundle: Any) -> None:
    archive.add(20)
    source = "def predict(image, context):\n    return {'light': 0.6, 'gloom': 0.4}\n"
    truth = Truth("somebody", dict.fromkeys(archive.pictures, "bright"))
    report = evaluate(archive, make_bundle(source, labels=["light", "gloom"]), make_bundle(), truth=truth)
    assert any("no label 'bright'" in remark for remark in report.remarks)
    assert report.labelled is not None
    assert report.labelled.overall.candidate.count == 0


def test_a_champion_that_hangs_is_named_as_the_one(archive: Any, make_bundle: Any) -> None:
    archive.add(20)
    slow = make_bundle(raises_at(5, "import time; time.sleep(1e6)"))
    report = evaluate(archive, make_bundle(), slow, limits=Limits(step_s=1.0))
    assert report.fault is not None
    assert (report.fault.who, report.fault.reason) == ("champion", "hung")
    assert not report.accepted
