"""`roost evaluate` as its users meet it: real networks on a real archive, and the same over a real Ray."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image

from roost_broker.frames import FrameStore
from roost_broker.ids import new_id
from roost_broker.jpeg_comment import RENDERED, with_comment
from roost_broker.messages import Input, Issued, Request, encode
from roost_henhouse.scene import still
from roost_henhouse.truth import LABELS
from roost_models.archive.writing import Archive, Item
from roost_models.assessment.report import Assessment, parse
from roost_models.bundle.opening import open_bundle
from roost_models.datasets.document import Dataset
from roost_models.datasets.document import Item as Labelled
from roost_models.datasets.document import render as render_dataset

BUNDLES = Path(__file__).resolve().parents[2] / "models" / "henhouse" / "bundles"
MAIN = "import sys; from roost_edge.cli import main; sys.exit(main())"
GATE = "[gate]\nmin_compared = 40\nmin_labelled = 40\nmax_drop = 0.2\nmax_failures = 0\nmax_memory_mb = 500\n"


def evaluate(*arguments: object, cwd: Path) -> "subprocess.CompletedProcess[str]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ROOST_")}
    return subprocess.run(
        [sys.executable, "-c", MAIN, "evaluate", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**clean, "COLUMNS": "200"},
        timeout=180,
        check=False,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`archive` with 42 rendered pictures, and `1.json` with what is in them."""
    root = tmp_path_factory.mktemp("evaluate")
    capture = FrameStore(root / "capture")
    items, labelled = [], []
    for number in range(42):
        label = LABELS[number % len(LABELS)]
        rgb, _ = still(label, 91_000_000 + number)
        buffer = io.BytesIO()
        Image.fromarray(rgb).save(buffer, "JPEG", quality=88)
        picture = with_comment(buffer.getvalue(), f"{RENDERED}a test")
        ref = capture.put(picture, width=640, height=480)
        at = 1_760_000_000_000 + number * 1_000
        request = Request(
            timestamp=at,
            message_id=new_id(number, b"m" * 10),
            request_id=f"{number:032x}",
            return_address=f"roost/coop-{number % 2}/henhouse/results/cam",
            deadline_ms=60_000,
            issued=Issued(boot="b" * 32, seq=number, monotonic_ns=number),
            input=Input(frame=ref),
        )
        items.append(Item(encode(request), request, "henhouse", at * 1_000_000))
        labelled.append(Labelled(sha256=ref.sha256, label=label, split="test"))
    with Archive(root / "archive") as archive:
        archive.write(items, capture)
    labelled.sort(key=lambda item: item.sha256)
    dataset = Dataset(name="stills", version=1, labels=list(LABELS), items=labelled, made_at_ms=1)
    (root / "1.json").write_bytes(render_dataset(dataset))
    (root / "gate.toml").write_text(GATE)
    return root


def measured(path: Path) -> dict[str, Any]:
    """A report without what differs from run to run: times, memory, who worked."""
    report: dict[str, Any] = msgspec.to_builtins(parse(path.read_bytes()))
    for key in ("madeAtMs", "seconds", "workers", "where", "ratios", "rules"):
        report.pop(key, None)
    for side in ("candidateSide", "championSide"):
        for key in ("latency", "memory", "loadMs"):
            report[side].pop(key, None)
    return report


def test_a_network_against_another_is_accepted_or_refused_by_the_gate_that_is_named(place: Path) -> None:
    asked = ("--against", BUNDLES / "champion", "--archive", "archive", "--labels", "1.json", "--gate", "gate.toml")
    done = evaluate(BUNDLES / "fast", *asked, "-o", "report.json", "--html", "report.html", cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is accepted" in done.stdout
    assert "site coop-1" in done.stdout
    report = parse((place / "report.json").read_bytes())
    assert report.accepted
    assert report.candidate.digest == open_bundle(BUNDLES / "fast").digest
    assert report.labelled is not None
    assert report.labelled.overall.champion is not None
    assert report.labelled.overall.champion.share > 0.9
    assert report.agreement is not None
    assert (report.agreement.compared, report.agreement.identical) == (42, 0)
    assert "say nothing about real animals" in report.remarks[0]
    page = (place / "report.html").read_text()
    assert "data:image/jpeg" in page
    assert page.index("say nothing about real animals") < page.index("<h2>Gate</h2>")
    refused = evaluate(BUNDLES / "fast", *asked[:-2], "-o", "refused.json", "--json", cwd=place)  # the shipped gate
    assert refused.returncode == 1
    said = json.loads(refused.stdout)
    assert (said["accepted"], said["report"]) == (False, "refused.json")
    assert "not-enough-data" in {rule["outcome"] for rule in said["rules"]}
    assert not parse((place / "refused.json").read_bytes()).accepted


def test_over_ray_every_verdict_is_the_one_of_a_single_machine(place: Path) -> None:
    pytest.importorskip("ray")
    asked = (
        *(BUNDLES / "fast", "--against", BUNDLES / "champion", "--archive", "archive", "--labels", "1.json"),
        *("--gate", "gate.toml"),
    )
    here = evaluate(*asked, "-o", "here.json", "--workers", "1", cwd=place)
    there = evaluate(*asked, "-o", "there.json", "--cluster", "local", cwd=place)
    assert (here.returncode, there.returncode) == (0, 0), there.stderr
    assert measured(place / "here.json") == measured(place / "there.json")
    assert parse((place / "there.json").read_bytes()).where == "Ray on this machine"


def test_over_ray_a_candidate_that_dies_is_named_as_on_a_single_machine(place: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    evil = _bundle(tmp_path / "evil", DIES_OVER_RAY)
    done = evaluate(evil, "--against", BUNDLES / "champion", "--archive", "archive", "--cluster", "local", cwd=place)
    assert done.returncode == 1, done.stderr
    assert "the candidate: It ended its process with status 7." in done.stdout


def test_a_model_that_remembers_is_refused_over_a_cluster(place: Path) -> None:
    done = evaluate(BUNDLES / "visits", "--archive", "archive", "--cluster", "local", "--task", "henhouse", cwd=place)
    assert done.returncode == 2
    assert "internal state" in done.stderr
    assert "without --cluster" in done.stderr


def test_without_ray_the_option_says_what_to_install(place: Path) -> None:
    hidden = "import sys; sys.modules['ray'] = None; " + MAIN
    done = subprocess.run(
        [sys.executable, "-c", hidden, "evaluate", str(BUNDLES / "fast"), "--archive", "archive", "--cluster", "local"],
        capture_output=True,
        text=True,
        cwd=place,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert "roost[edge,cluster]" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "No candidate"),
        ((BUNDLES / "fast", "--archive", "nowhere"), "no archive"),
        ((BUNDLES / "fast", "--archive", "archive", "--gate", "1.json"), "Not a gate"),
        ((BUNDLES / "fast", "--archive", "archive", "--labels", "none.db"), "no labels"),
        ((BUNDLES / "fast", "--archive", "archive", "--from", "yesterday"), "no moment"),
        ((BUNDLES / "fast", "--archive", "archive", "--task", "door"), "for the task henhouse"),
        (("nowhere", "--archive", "archive"), "no bundle"),
    ],
)
def test_misuse_is_told_in_a_sentence_with_a_remedy(arguments: tuple[object, ...], words: str, place: Path) -> None:
    done = evaluate(*arguments, cwd=place)
    assert done.returncode in (1, 2)
    assert words in done.stderr
    assert "→" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_shipped_gate_is_shown_to_be_changed(place: Path) -> None:
    done = evaluate("--show-gate", cwd=place)
    assert done.returncode == 0
    assert done.stdout.startswith("# The gate")
    (place / "shown.toml").write_text(done.stdout)
    again = evaluate(BUNDLES / "fast", "--archive", "archive", "--gate", "shown.toml", cwd=place)
    assert again.returncode == 1
    assert "too little" in again.stdout


def test_in_a_centres_folder_the_report_lies_under_the_candidates_digest(place: Path, tmp_path: Path) -> None:
    centre = tmp_path / "centre"
    centre.mkdir()
    (centre / "archive").symlink_to(place / "archive")
    done = evaluate(BUNDLES / "fast", "--centre", centre, "--limit", 5, cwd=place)
    assert done.returncode == 1
    digest = open_bundle(BUNDLES / "fast").digest
    report: Assessment = parse((centre / "reports" / f"{digest}.json").read_bytes())
    assert report.period.requests == 5


DIES_OVER_RAY = """
import os

def predict(image, context):
    if any(name.startswith("RAY_") for name in os.environ):
        os._exit(7)
    return {"egg": 1.0}
"""


def _bundle(folder: Path, source: str) -> Path:
    from roost_models.bundle.writing import write_bundle

    fields = {
        "name": "evil",
        "version": "1",
        "task": "henhouse",
        "engine": "python",
        "entry": "model.py",
        "labels": list(LABELS),
        "input": {"width": 8, "height": 6},
        "licence": "Apache-2.0",
    }
    write_bundle(folder, fields, {"model.py": source.encode()})
    return folder
