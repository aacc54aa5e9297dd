"""Exports, held against the published shapes, stricter than the viewers are: no field that is not meant."""

import json
from typing import Any

import jsonschema
import pytest
from traced_request import REQUEST, WALL_MS, outcome, result, trace, whole_story

from roost_rendezvous.traces.export import otlp, zipkin
from roost_rendezvous.traces.knit import Knit, knit

HEX16 = {"type": "string", "pattern": "^(?!0{16})[0-9a-f]{16}$"}
HEX32 = {"type": "string", "pattern": "^(?!0{32})[0-9a-f]{32}$"}
NANOS = {"type": "string", "pattern": "^[1-9][0-9]{0,19}$"}


def closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties}


TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
ZIPKIN = {
    "type": "array",
    "minItems": 1,
    "items": closed(
        ["traceId", "id", "name", "timestamp", "duration", "localEndpoint"],
        traceId=HEX32,
        id=HEX16,
        parentId=HEX16,
        name={"type": "string", "pattern": "^[^A-Z]+$"},
        kind={"enum": ["CLIENT", "SERVER", "PRODUCER", "CONSUMER"]},
        timestamp={"type": "integer", "exclusiveMinimum": 1_500_000_000_000_000},
        duration={"type": "integer", "minimum": 1},
        localEndpoint=closed(["serviceName"], serviceName={"type": "string", "pattern": "^[^A-Z]+$"}),
        tags=TEXTS,
        annotations={
            "type": "array",
            "items": closed(["timestamp", "value"], timestamp={"type": "integer"}, value={"type": "string"}),
        },
    ),
}
ATTRIBUTES = {
    "type": "array",
    "items": closed(
        ["key", "value"],
        key={"type": "string", "minLength": 1},
        value=closed(["stringValue"], stringValue={"type": "string"}),
    ),
}
OTLP_SPAN = closed(
    ["traceId", "spanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano"],
    traceId=HEX32,
    spanId=HEX16,
    parentSpanId=HEX16,
    name={"type": "string", "minLength": 1},
    kind={"type": "integer", "minimum": 1, "maximum": 5},
    startTimeUnixNano=NANOS,
    endTimeUnixNano=NANOS,
    attributes=ATTRIBUTES,
    events={
        "type": "array",
        "items": closed(["timeUnixNano", "name"], timeUnixNano=NANOS, name={"type": "string"}),
    },
    status=closed(["code"], code={"enum": [0, 1, 2]}, message={"type": "string"}),
)
OTLP = closed(
    ["resourceSpans"],
    resourceSpans={
        "type": "array",
        "minItems": 1,
        "items": closed(
            ["resource", "scopeSpans"],
            resource=closed(["attributes"], attributes=ATTRIBUTES),
            scopeSpans={
                "type": "array",
                "minItems": 1,
                "items": closed(
                    ["scope", "spans"],
                    scope=closed(["name"], name={"type": "string"}, version={"type": "string"}),
                    spans={"type": "array", "minItems": 1, "items": OTLP_SPAN},
                ),
            },
        ),
    },
)


def stories() -> list[Knit]:
    tiny = [trace("rendezvous", ("wait", 0, 0)), trace("model Grand", ("evaluate", 0, 0))]
    declined = trace("model tired", ("wait", 1, 2), attributes={"declined": "behind"})
    return [
        knit(REQUEST, whole_story()),
        knit(REQUEST, [*tiny, declined, result(outcome("tired", "declined", "behind"))]),
        knit(REQUEST, [result(default="unknown")]),
    ]


def spans_of(export: dict[str, Any]) -> list[dict[str, Any]]:
    return [span for resource in export["resourceSpans"] for scope in resource["scopeSpans"] for span in scope["spans"]]


@pytest.mark.parametrize("whole", stories(), ids=["whole", "tiny", "default"])
def test_exports_have_the_published_shapes_and_every_parent_is_in_them(whole: Knit) -> None:
    zipkin_spans = json.loads(json.dumps(zipkin(whole, "nest")))
    jsonschema.validate(zipkin_spans, ZIPKIN)
    otlp_export = json.loads(json.dumps(otlp(whole, "nest", "0.1.0")))
    jsonschema.validate(otlp_export, OTLP)
    for spans, own, parent in ((zipkin_spans, "id", "parentId"), (spans_of(otlp_export), "spanId", "parentSpanId")):
        ids = [span[own] for span in spans]
        assert len(set(ids)) == len(ids)
        roots = [span for span in spans if parent not in span]
        assert len(roots) == 1
        assert {span[parent] for span in spans if parent in span} <= set(ids)
        assert len({span["traceId"] for span in spans}) == 1


def test_the_schema_is_strict_enough_to_refuse_what_viewers_refuse() -> None:
    good = zipkin(knit(REQUEST, whole_story()))
    for wrong in ({"duration": 0}, {"id": "0" * 16}, {"timestamp": "now"}, {"tags": {"a": 1}}, {"unknown": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate([good[0] | wrong], ZIPKIN)


def test_steps_lie_inside_their_component_and_components_inside_the_request() -> None:
    spans = {span["spanId"]: span for span in spans_of(otlp(knit(REQUEST, whole_story())))}
    for span in spans.values():
        if "parentSpanId" in span:
            above = spans[span["parentSpanId"]]
            assert int(above["startTimeUnixNano"]) <= int(span["startTimeUnixNano"])
            assert int(span["endTimeUnixNano"]) <= int(above["endTimeUnixNano"])
    assert len([span for span in spans.values() if span["name"] == "evaluate"]) == 2


def test_the_answer_and_what_ran_on_can_be_seen_in_a_viewer() -> None:
    spans = {span["name"]: span for span in zipkin(knit(REQUEST, whole_story()), "nest")}
    root = spans["request"]
    assert root["annotations"] == [{"timestamp": (WALL_MS + 143) * 1000, "value": "answered"}]
    assert root["tags"]["answer"] == "blue jay 0.97 by champion 1.2 (preferred)"
    assert root["timestamp"] == WALL_MS * 1000
    assert spans["model champion"]["tags"]["official"] == "true"
    assert spans["model slow"]["tags"]["ranOnMs"] == "257.000"


def test_a_request_begun_here_is_a_trace_of_its_own_under_the_requests_id() -> None:
    root = zipkin(knit(REQUEST, whole_story()))[0]
    assert (root["traceId"], root["id"]) == (REQUEST, REQUEST[16:])
    assert "parentId" not in root


def test_a_request_from_outside_hangs_below_the_span_that_asked() -> None:
    theirs, asker = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    whole = knit(REQUEST, [trace("rendezvous", ("wait", 0, 143), parent=f"00-{theirs}-{asker}-01"), result()])
    spans = zipkin(whole)
    assert {span["traceId"] for span in spans} == {theirs}
    assert spans[0]["parentId"] == asker
    assert {span["traceId"] for span in spans_of(otlp(whole))} == {theirs}


@pytest.mark.parametrize("parent", ["00-nonsense", "00-" + "0" * 32 + "-00f067aa0ba902b7-01", "junk"])
def test_a_trace_parent_that_is_none_is_not_continued(parent: str) -> None:
    whole = knit(REQUEST, [trace("rendezvous", ("wait", 0, 143), parent=parent)])
    assert zipkin(whole)[0]["traceId"] == REQUEST
    assert "parentId" not in zipkin(whole)[0]


def test_exporting_twice_gives_the_same_ids() -> None:
    story = whole_story()
    assert zipkin(knit(REQUEST, story)) == zipkin(knit(REQUEST, story))
