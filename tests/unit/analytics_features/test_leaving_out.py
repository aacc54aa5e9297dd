"""Leave-one-out of a real bundle on archived requests: its function is called as the scaffold calls it."""

from pathlib import Path

import pytest

from roost_broker.errors import Misuse
from roost_broker.frames import FrameStore
from roost_broker.messages import Input, Request
from roost_models.archive.cases import Case
from roost_models.assessment.leaving_out import InputReport, inputs_report
from roost_models.bundle.writing import write_bundle
from roost_models.inference.predictor import load_predictor

MODEL = b"""
def predict(image, context):
    if "list" in context.values and len(context.values["list"]) != 2:
        raise ValueError("a list of another length")
    warm = context.values["weather"]["celsius"] / 40
    score = 0.5 + 0.3 * (context.state.get("door") == "open") + 0.1 * warm
    return {"hen": score, "egg": 1 - score}
"""


def case(number: int) -> Case:
    celsius = (number * 7) % 40
    request = Request(
        timestamp=1_000 + number,
        message_id=f"{number:032x}",
        request_id=f"{number:032x}",
        return_address="r",
        deadline_ms=1,
        tags={"camera": "nest"},
        input=Input(
            values={"weather": {"celsius": celsius, "fahrenheit": celsius * 1.8 + 32}, "list": [number * 11 % 17, 2]}
        ),
        state={"door": "open" if number % 3 else "shut", "moon": number % 5},
    )
    return Case(node="coop", task="nest", at_ms=request.timestamp, payload=b"", request=request)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> InputReport:
    folder = tmp_path_factory.mktemp("leave")
    fields = {"name": "rules", "version": "1.0.0", "task": "nest", "engine": "python", "entry": "model.py"}
    more = {"labels": ["hen", "egg"], "licence": "Apache-2.0"}
    bundle = write_bundle(folder / "bundle", {**fields, **more}, {"model.py": MODEL})
    about = (bundle.digest, "rules", "1.0.0")
    return inputs_report(map(case, range(120)), load_predictor(bundle), FrameStore(folder / "frames"), about)


def test_what_the_author_reads_is_used_and_what_he_does_not_read_is_dead(report: InputReport) -> None:
    verdicts = {effect.name: effect.verdict for effect in report.variables.effects}
    assert verdicts["state.door"] == verdicts["values.weather.celsius"] == "used"
    assert {"state.moon", "values.weather.fahrenheit", "time_ms", "values.list.0"} <= set(report.variables.dead)
    assert verdicts["tags.camera"] == verdicts["values.list.1"] == "never varies"


def test_the_strongest_comes_first(report: InputReport) -> None:
    assert report.variables.effects[0].name == "state.door"
    assert report.variables.effects[0].max_delta == pytest.approx(0.3)


def test_what_says_the_same_is_named_and_left_out_together(report: InputReport) -> None:
    pair = report.collinear.pairs[0]
    assert {pair.one, pair.other} == {"values.weather.celsius", "values.weather.fahrenheit"}
    assert ("values.weather.celsius", "values.weather.fahrenheit") in [one.of for one in report.variables.groups]


def test_a_pure_model_has_no_noise_and_every_request_was_asked(report: InputReport) -> None:
    assert (report.variables.noise, report.requests, report.left_out) == (0.0, 120, 0)


def test_an_empty_archive_is_refused(tmp_path: Path) -> None:
    fields = {"name": "rules", "version": "1.0.0", "task": "nest", "engine": "python", "entry": "model.py"}
    bundle = write_bundle(
        tmp_path / "bundle", {**fields, "labels": ["hen", "egg"], "licence": "Apache-2.0"}, {"model.py": MODEL}
    )
    with pytest.raises(Misuse, match="rows to compare"):
        inputs_report([], load_predictor(bundle), FrameStore(tmp_path), ("", "", ""))
