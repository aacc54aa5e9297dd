"""Results on the wire: complete, bounded, and never unpublishable."""

import pytest
from msgspec.structs import replace

from roost_broker.clock import VirtualClock
from roost_broker.diagnosis import NOTHING, Diagnosis
from roost_broker.messages import (
    MAX_BYTES,
    Diagnostics,
    Hop,
    Input,
    ModelOutcome,
    Output,
    Provenance,
    Request,
    Result,
    Score,
    decode,
)
from roost_rendezvous.mailbox.actions import Answer
from roost_rendezvous.mailbox.events import ScoreArrived
from roost_rendezvous.mailbox.quorum import Vote, count
from roost_rendezvous.server.results import Asked, build

ID = "0" * 31 + "1"


def a_request(**fields: object) -> Request:
    whole = {
        "timestamp": 1,
        "message_id": ID,
        "request_id": ID,
        "return_address": "roost/n/t/results/door",
        "deadline_ms": 2000,
        "input": Input(values={"x": 1}),
        **fields,
    }
    return Request(**whole)  # type: ignore[arg-type]  # fields by name


def an_answer(
    outputs: list[Output] | None, outcomes: tuple[ModelOutcome, ...] = (), way: tuple[Hop, ...] = ()
) -> Answer:
    chosen = None
    if outputs is not None:
        hop = Hop(node="n", component="model champion")
        score = Score(
            timestamp=1,
            message_id=ID,
            request_id=ID,
            model="champion",
            version="1",
            outputs=outputs,
            provenance=Provenance(path=[*way, hop][-32:]),
        )
        chosen = ScoreArrived(
            message_id=ID,
            request_id=ID,
            model="champion",
            version="1",
            label=outputs[0].label,
            score=outputs[0].score,
            context=score,
        )
    return Answer(
        event_id=ID,
        request_id=ID,
        cause="default" if chosen is None else "preferred",
        reason="no accepted model answered in time" if chosen is None else "",
        chosen=chosen,
        label="unknown" if chosen is None else chosen.label,
        elapsed_ns=1_500_000,
        sla_ms=2000,
        late=False,
        schedule_version="v",
        outcomes=outcomes,
        context=None,
    )


def built(answer: Answer, request: Request, diagnosis: Diagnosis = NOTHING) -> Result:
    payload = build(answer, Asked(request, diagnosis=diagnosis), VirtualClock(), "n")
    assert len(payload) <= MAX_BYTES
    result = decode(payload)
    assert isinstance(result, Result)
    return result


def test_a_classification_carries_no_default_and_a_default_no_classification() -> None:
    official = built(an_answer([Output(label="hen", score=0.9)]), a_request())
    assert (official.answer is not None, official.default) == (True, None)
    default = built(an_answer(None), a_request())
    assert (default.answer, default.default is not None) == (None, True)


def test_an_inline_picture_is_not_sent_back() -> None:
    result = built(an_answer(None), a_request(input=Input(inline="x" * 80_000, values={"x": 1})))
    assert result.input == Input(values={"x": 1})


def test_the_models_hops_are_in_the_provenance_only_where_the_wish_for_a_trace_was_granted() -> None:
    answer = an_answer([Output(label="hen", score=0.9)])
    provenance = Provenance(path=[Hop(node="n", component="capture")], trace_parent="00-ab")
    request = a_request(provenance=provenance, diagnostics=Diagnostics(trace=True))
    quiet = built(answer, request)
    assert [hop.component for hop in quiet.provenance.path] == ["capture", "rendezvous"]
    traced = built(answer, request, Diagnosis(trace=True))
    assert [hop.component for hop in traced.provenance.path] == ["capture", "model champion", "rendezvous"]
    assert traced.provenance.trace_parent == "00-ab"


@pytest.mark.parametrize("hops", [1, 31, 32])
def test_a_model_that_repeats_the_questions_way_before_its_own_hop_does_not_double_it(hops: int) -> None:
    way = [Hop(node="n", component=f"c{number}") for number in range(hops)]
    answer = an_answer([Output(label="hen", score=0.9)], way=tuple(way))
    traced = built(answer, a_request(provenance=Provenance(path=way)), Diagnosis(trace=True))
    whole = [*(hop.component for hop in way), "model champion", "rendezvous"]
    assert [hop.component for hop in traced.provenance.path] == whole[-32:]


def test_a_requests_own_schedule_is_recorded_in_the_provenance_whatever_the_cause() -> None:
    for outputs in (None, [Output(label="hen", score=0.9)]):
        answer = replace(an_answer(outputs), override=True)
        overrides = ["fault slow:100"]
        result = built(answer, a_request(provenance=Provenance(overrides=overrides)))
        assert result.provenance.overrides == ["fault slow:100", "schedule v"]
    assert built(an_answer(None), a_request()).provenance.overrides == []


def test_cohort_and_propensity_are_in_the_result_and_cost_the_others_nothing() -> None:
    answer = replace(an_answer([Output(label="hen", score=0.9)]), cohort="challenger", propensity=0.1)
    result = built(answer, a_request())
    assert (result.cohort, result.propensity) == ("challenger", 0.1)
    plain = build(an_answer(None), Asked(a_request()), VirtualClock(), "n")
    assert b"cohort" not in plain
    assert b"propensity" not in plain


def test_a_quorums_outputs_are_the_shares_of_its_votes() -> None:
    ballot = count([Vote("hen", 0.5), Vote("hen", 0.7), Vote("egg", 0.9)], 4)
    score = ScoreArrived(
        message_id=ID, request_id=ID, model="jury", label=ballot.label, score=ballot.score, context=ballot
    )
    result = built(replace(an_answer([Output(label="x", score=0)]), chosen=score), a_request())
    assert result.answer is not None
    assert (result.answer.model, result.answer.version, result.answer.label) == ("jury", "", "hen")
    assert result.answer.score == pytest.approx(0.6)
    assert result.answer.outputs == [Output(label="hen", score=2 / 3), Output(label="egg", score=1 / 3)]


def test_a_provenance_that_is_full_keeps_the_newest_hops() -> None:
    path = [Hop(node="n", component=f"c{number}") for number in range(32)]
    result = built(an_answer(None), a_request(provenance=Provenance(path=path)))
    assert [result.provenance.path[0].component, result.provenance.path[-1].component] == ["c1", "rendezvous"]


@pytest.mark.parametrize(
    ("request_fields", "outputs"),
    [
        ({"input": Input(values={"x": "y" * 99_000})}, 1),
        ({}, 1000),
        ({"tags": {f"t{number}": "v" * 900 for number in range(100)}}, 1),
        ({"tags": {f"t{number}": "\x01" * 150 for number in range(95)}}, 1000),
        ({"provenance": Provenance(path=[Hop(node="n", component="c" * 200, version="\x01" * 1000)] * 32)}, 1000),
    ],
    ids=["values", "outputs", "tags", "tags and outputs", "provenance"],
)
def test_a_result_that_would_be_too_large_still_goes_out_with_its_answer(
    request_fields: dict[str, object], outputs: int
) -> None:
    many = [Output(label="\x01" * 190 + f"{number}", score=0.5) for number in range(outputs)]
    crowd = tuple(ModelOutcome(model=f"m{n}", status="declined", reason="\x01" * 900) for n in range(64))
    result = built(an_answer(many, crowd), a_request(**request_fields))
    assert result.answer is not None
    assert result.answer.label == many[0].label
    assert result.answer.outputs[0] == many[0]
