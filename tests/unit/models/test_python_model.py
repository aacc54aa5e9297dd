import io
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from roost_broker.errors import FrameUnavailable, Malformed
from roost_broker.frames import FrameStore
from roost_broker.messages import FrameRef, Input, Output, Request
from roost_models.bundle.folder import Bundle
from roost_models.inference.evaluation import Evaluator
from roost_models.inference.predictor import ModelInput, Unusable, load_predictor, model_input

GREY = np.full((6, 8, 3), 51, np.uint8)

NEAREST = """
import numpy as np

def load(folder):
    return np.load(folder / "weights.npz")

def predict(image, context):
    scores = context.model["weights"] * (2 if context.state.get("door") == "open" else 1)
    return dict(zip(("bright", "dark"), scores))
"""


def test_a_model_in_five_lines_answers_best_first(make_bundle: Callable[..., Bundle]) -> None:
    predictor = load_predictor(make_bundle())
    assert predictor.predict([ModelInput(image=GREY)]) == [
        [Output(label="dark", score=0.8), Output(label="bright", score=0.2)]
    ]
    assert predictor.runtime.startswith("python 3.")
    assert "numpy" in predictor.runtime
    assert "pillow" in predictor.runtime


def test_load_is_called_once_with_the_folder_and_state_reaches_the_model(make_bundle: Callable[..., Bundle]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, weights=np.array([0.25, 0.5]))
    predictor = load_predictor(make_bundle(NEAREST, files={"weights.npz": buffer.getvalue()}))
    closed, opened = predictor.predict([ModelInput(), ModelInput(state={"door": "open"})])
    assert [output.score for output in closed] == [0.5, 0.25]
    assert [output.score for output in opened] == [1.0, 0.5]


def test_labels_left_out_score_zero_and_ties_keep_the_labels_order(make_bundle: Callable[..., Bundle]) -> None:
    predictor = load_predictor(
        make_bundle("def predict(image, context): return {'c': 0.5}", labels=["a", "b", "c"], output={"top": 2})
    )
    assert predictor.predict([ModelInput()]) == [[Output(label="c", score=0.5), Output(label="a", score=0.0)]]


def test_for_a_model_without_an_input_contract_no_picture_is_fetched(make_bundle: Callable[..., Bundle]) -> None:
    def fetch() -> bytes:
        raise FrameUnavailable("missing", "It is gone.")

    frame = FrameRef(sha256="0" * 64, bytes=1, path="gone.jpg", width=1, height=1)
    id_ = "0" * 32
    request = Request(
        timestamp=1,
        message_id=id_,
        request_id=id_,
        return_address="roost/n/t/results/door",
        deadline_ms=1,
        input=Input(frame=frame, values={"x": 1}),
    )
    assert model_input(request, load_predictor(make_bundle(input=None)), fetch) == ModelInput(values={"x": 1}, at_ms=1)
    with pytest.raises(FrameUnavailable):
        model_input(request, load_predictor(make_bundle()), fetch)


def test_a_request_without_a_picture_is_declined_as_bad_input_before_the_authors_code_meets_it(
    make_bundle: Callable[..., Bundle], tmp_path: Path
) -> None:
    predictor = load_predictor(make_bundle("def predict(image, context): return {'dark': image.mean()}"))
    evaluator = Evaluator(predictor, FrameStore(tmp_path / "frames"), lambda: 0, threading.Event())
    request = Request(
        timestamp=1,
        message_id="0" * 32,
        request_id="0" * 32,
        return_address="roost/n/t/results/door",
        deadline_ms=1,
        input=Input(values={"x": 1}),
    )
    (outcome,) = evaluator.evaluate([request], [None])
    assert outcome.failure is not None
    assert outcome.failure.reason == "bad-input"
    assert "needs a picture, and the request has none" in outcome.failure.detail


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("return {'bright': float('nan')}", "nan"),
        ("return {'bright': float('inf')}", "inf"),
        ("return {}", "no scores"),
        ("return [1]", "returned list"),
        ("return {'hen': 1}", "not one of its labels"),
        ("raise KeyError('hen')", "KeyError: 'hen'"),
        ("raise SystemExit(0)", "SystemExit"),
    ],
)
def test_an_answer_that_is_none_is_refused(body: str, error: str, make_bundle: Callable[..., Bundle]) -> None:
    predictor = load_predictor(make_bundle(f"def predict(image, context): {body}"))
    with pytest.raises(Unusable, match=error) as refused:
        predictor.predict([ModelInput()])
    assert refused.value.problem.startswith("Model brightness 1.0 ")
    assert refused.value.remedy == "Correct the model."


@pytest.mark.parametrize("body", ["return {'bright': float('nan')}", "raise KeyError('hen')", "raise SystemExit(0)"])
def test_each_request_of_a_batch_the_model_cannot_answer_is_declined_as_failed(
    body: str, make_bundle: Callable[..., Bundle], tmp_path: Path
) -> None:
    predictor = load_predictor(make_bundle(f"def predict(image, context): {body}", input=None))
    evaluator = Evaluator(predictor, FrameStore(tmp_path / "frames"), lambda: 0, threading.Event())
    requests = [
        Request(
            timestamp=1,
            message_id=digit * 32,
            request_id=digit * 32,
            return_address="roost/n/t/results/door",
            deadline_ms=1,
            input=Input(values={"x": 1}),
        )
        for digit in "01"
    ]
    failures = [outcome.failure for outcome in evaluator.evaluate(requests, [None, None])]
    assert [failure.reason for failure in failures if failure] == ["failed", "failed"]
    assert all("Model brightness 1.0 cannot answer" in failure.detail for failure in failures if failure)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def predict(image, context) return 1", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("import no_such_module_anywhere", "no_such_module_anywhere"),
        ("def answer(): pass", "defines no function 'predict'"),
        ("raise SystemExit(0)", "SystemExit"),
        ("predict = 3", "defines no function 'predict'"),
        ("load = 3\ndef predict(i, c): pass", "defines no function 'load'"),
        ("def load(folder): raise OSError('no weights')\ndef predict(i, c): pass", "no weights"),
    ],
)
def test_source_that_cannot_be_loaded_is_malformed_with_the_reason(
    source: str, reason: str, make_bundle: Callable[..., Bundle]
) -> None:
    with pytest.raises(Malformed, match=reason):
        load_predictor(make_bundle(source))


def test_the_verified_source_is_what_runs_whatever_lies_on_disk_afterwards(make_bundle: Callable[..., Bundle]) -> None:
    bundle = make_bundle()
    predictor = load_predictor(bundle)
    (bundle.root / "model.py").write_text("def predict(image, context): return {'bright': 99.0}")
    assert predictor.predict([ModelInput(image=GREY)])[0][0] == Output(label="dark", score=0.8)
    with pytest.raises(Malformed):
        load_predictor(bundle)


def test_the_runtime_is_looked_up_once(make_bundle: Callable[..., Bundle]) -> None:
    predictor = load_predictor(make_bundle())
    assert predictor.runtime is predictor.runtime
