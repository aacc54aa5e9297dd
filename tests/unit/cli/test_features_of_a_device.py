"""`roost features` without an archive: the models of a device, a look at each when it is due, kept and shown."""

import json
from pathlib import Path

import pytest

from roost_broker.ids import new_id
from roost_broker.messages import Input, Issued, Request, encode
from roost_edge.cli import main
from roost_edge.feature_reports import DAY_MS, FeatureReports, KeptFeatures, age, due, lines, told
from roost_models.archive.writing import Archive, Item
from roost_models.bundle.writing import write_bundle

START_MS = 1_795_000_000_000
MODEL = b"""
def predict(image, context):
    score = 0.5 + 0.3 * (context.state.get("door") == "open") + 0.002 * context.values["celsius"]
    return {"hen": score, "egg": 1 - score}
"""
KEPT = KeptFeatures(
    task="nest",
    model="rules",
    bundle="a" * 64,
    title="rules 1.0.0",
    made_at_ms=START_MS,
    requests=120,
    dead=["state.moon"],
    same=[("values.celsius", "values.fahrenheit", 1.0)],
)
Say = pytest.CaptureFixture[str]


def asked(number: int) -> Item:
    celsius = (number * 7) % 40
    request = Request(
        timestamp=START_MS + 1000 * number,
        message_id=new_id(number, b"m" * 10),
        request_id=f"{number:032x}",
        return_address="roost/coop-1/nest/results/cam",
        deadline_ms=2_000,
        issued=Issued(boot="b" * 32, seq=number, monotonic_ns=number),
        input=Input(values={"celsius": celsius, "fahrenheit": celsius * 1.8 + 32}),
        state={"door": "open" if number % 3 else "shut", "moon": number % 5},
    )
    return Item(encode(request), request, "nest", request.timestamp * 1_000_000)


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """One task with one model that needs no pictures, and 120 archived requests."""
    fields = {"name": "rules", "version": "1.0.0", "task": "nest", "engine": "python", "entry": "model.py"}
    write_bundle(
        tmp_path / "bundle", {**fields, "labels": ["hen", "egg"], "licence": "Apache-2.0"}, {"model.py": MODEL}
    )
    settings = tmp_path / "roost.toml"
    settings.write_text(
        '[node]\nname = "coop-1"\ndata = "data"\n\n'
        '[tasks.nest]\nschedule = "nest.toml"\n\n[tasks.nest.models.rules]\nbundle = "bundle"\n',
        encoding="utf-8",
    )
    with Archive(tmp_path / "data" / "archive" / "nest") as archive:
        archive.write([asked(number) for number in range(120)], None)
    return settings


def features(device: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say, *words: str) -> str:
    monkeypatch.setattr("sys.argv", ["roost", "features", "--settings", str(device), *words])
    try:
        code = main()
    except SystemExit as end:
        code = int(end.code or 0)
    assert code == 0
    return capsys.readouterr().out


def test_every_model_is_looked_at_and_what_was_planted_is_found_and_kept(
    device: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    said = features(device, monkeypatch, capsys)
    assert said.startswith("nest/rules (rules 1.0.0), 0 h ago, 120 requests: no score depended on ")
    [kept] = FeatureReports(device.parent / "data" / "features").all()
    assert {"state.moon", "values.fahrenheit", "time_ms"} == set(kept.dead)
    assert [{one, other} for one, other, _ in kept.same] == [{"values.celsius", "values.fahrenheit"}]
    assert kept.report["requests"] == 120


def test_a_look_that_is_not_due_is_not_taken_and_is_told_all_the_same(
    device: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    first = features(device, monkeypatch, capsys)
    path = device.parent / "data" / "features" / "nest" / "rules.json"
    written = path.stat().st_mtime_ns
    assert features(device, monkeypatch, capsys, "--every-days", "30") == first
    assert path.stat().st_mtime_ns == written
    features(device, monkeypatch, capsys)
    assert path.stat().st_mtime_ns > written


def test_a_program_gets_one_object_with_every_model(device: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say) -> None:
    [found] = json.loads(features(device, monkeypatch, capsys, "--json"))["models"]
    assert (found["model"], found["requests"], found["schema"]) == ("rules", 120, "roost.features/1")


def test_half_of_the_other_way_of_calling_it_is_misuse(
    device: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    monkeypatch.setattr("sys.argv", ["roost", "features", "--settings", str(device), "--bundle", "bundle"])
    assert main() == 2
    assert "Give both" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("bundle", "requests", "days", "wanted"),
    [
        ("a" * 64, 120, 29, False),
        ("a" * 64, 120, 31, True),
        ("a" * 64, 120, -1, True),  # the clock went back
        ("b" * 64, 120, 1, True),
        ("a" * 64, 0, 1, True),  # there was nothing to ask
    ],
)
def test_a_look_is_due_after_a_month_for_another_bundle_and_where_there_was_nothing_yet(
    bundle: str, requests: int, days: int, wanted: bool
) -> None:
    kept = KeptFeatures(task="t", model="m", bundle="a" * 64, title="m 1", made_at_ms=START_MS, requests=requests)
    assert due(kept, bundle, 30, START_MS + days * DAY_MS) is wanted
    assert due(None, bundle, 30, START_MS)


def test_findings_are_told_in_words_with_their_age(tmp_path: Path) -> None:
    reports = FeatureReports(tmp_path)
    assert lines(reports, START_MS)[0].startswith("Not looked at yet")
    reports.keep(KEPT)
    (tmp_path / "nest" / "torn.json").write_text("{", encoding="utf-8")
    assert lines(reports, START_MS + 12 * DAY_MS) == [
        "nest/rules (rules 1.0.0), 12 days ago, 120 requests: no score depended on state.moon; the same is said by "
        "values.celsius and values.fahrenheit (r 1.00)."
    ]
    nothing = KeptFeatures(
        task="nest", model="m", bundle="", title="m 1", made_at_ms=START_MS, requests=0, why_not="No requests."
    )
    assert told(nothing, START_MS).endswith("not enough history: No requests.")
    assert age(START_MS, START_MS - 1) == "the clock was ahead"
