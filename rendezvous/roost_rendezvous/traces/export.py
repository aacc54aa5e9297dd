"""Traces for other people's viewers: Zipkin v2 and OTLP as JSON. Pure.

The trace of a request that somebody outside began (`provenance.traceParent`, W3C) carries their trace id and hangs
below their span. Span ids are made from what a span is, so exporting twice gives the same ids.

Shapes: Zipkin's `zipkin2-api.yaml` (POST /api/v2/spans); OpenTelemetry's `trace.proto` in its JSON form (ids in hex,
64-bit integers as decimal strings).
"""

import hashlib
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, NamedTuple

from roost_broker.tracing import own_trace_parent, read_trace_parent
from roost_rendezvous.traces.knit import Bar, Knit
from roost_rendezvous.traces.waterfall import outcome

SCOPE = "roost"
_INTERNAL, _SERVER = 1, 2
_ERROR = 2


class Node(NamedTuple):
    """One span of the tree: request → component → step."""

    span_id: str
    parent_id: str
    """Empty for the beginning of everything."""
    service: str
    name: str
    start_ns: int
    """Wall clock."""
    end_ns: int
    tags: Mapping[str, str]
    root: bool = False


def trace_id(whole: Knit) -> str:
    """32 hex digits: the asker's own, or the request's id."""
    parent = read_trace_parent(whole.trace_parent)
    return parent.trace_id if parent is not None else whole.request_id


def tree(whole: Knit, task: str = "") -> Iterator[Node]:
    """All spans, parents first."""
    wall = whole.began_wall_ns
    own = read_trace_parent(own_trace_parent(whole.request_id))
    parent = read_trace_parent(whole.trace_parent)
    root_id = own.span_id if own is not None else _span_id(whole.request_id, "root")
    above = parent.span_id if parent is not None and parent.span_id != root_id else ""
    yield Node(root_id, above, SCOPE, "request", wall, wall + whole.length_ns, _root_tags(whole, task), root=True)
    for component, group in groupby(whole.bars, key=lambda bar: bar.component):
        bars = list(group)
        component_id = _span_id(whole.request_id, component)
        start, end = min(bar.start_ns for bar in bars), max(bar.end_ns for bar in bars)
        tags = _component_tags(whole, bars[0])
        yield Node(component_id, root_id, component, component, wall + start, wall + end, tags)
        for nth, bar in enumerate(bars):
            step_id = _span_id(whole.request_id, component, bar.name, str(nth))
            yield Node(
                step_id,
                component_id,
                component,
                bar.name,
                wall + bar.start_ns,
                wall + bar.end_ns,
                bar.attributes,
            )


def zipkin(whole: Knit, task: str = "") -> list[dict[str, Any]]:
    """The spans as Zipkin v2 takes them: times in whole microseconds, none shorter than one."""
    traced = trace_id(whole)
    found = []
    for node in tree(whole, task):
        start = node.start_ns // 1000
        span: dict[str, Any] = {
            "traceId": traced,
            "id": node.span_id,
            "name": node.name.lower(),
            "timestamp": start,
            "duration": max(1, node.end_ns // 1000 - start),
            "localEndpoint": {"serviceName": node.service.lower()},
        }
        if node.parent_id:
            span["parentId"] = node.parent_id
        if node.tags:
            span["tags"] = dict(node.tags)
        if node.root:
            span["kind"] = "SERVER"
            if whole.answered_ns is not None:
                at = (whole.began_wall_ns + whole.answered_ns) // 1000
                span["annotations"] = [{"timestamp": at, "value": "answered"}]
        found.append(span)
    return found


def otlp(whole: Knit, task: str = "", version: str = "") -> dict[str, Any]:
    """The same as an OTLP/JSON export request; one resource for each component."""
    traced = trace_id(whole)
    nodes = list(tree(whole, task))
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes({"service.name": service})},
                "scopeSpans": [
                    {
                        "scope": {"name": SCOPE, "version": version},
                        "spans": [_otlp_span(traced, node, whole) for node in nodes if node.service == service],
                    }
                ],
            }
            for service in dict.fromkeys(node.service for node in nodes)
        ]
    }


def _otlp_span(traced: str, node: Node, whole: Knit) -> dict[str, Any]:
    span: dict[str, Any] = {
        "traceId": traced,
        "spanId": node.span_id,
        "name": node.name,
        "kind": _SERVER if node.root else _INTERNAL,
        "startTimeUnixNano": str(node.start_ns),
        "endTimeUnixNano": str(max(node.start_ns, node.end_ns)),
        "attributes": _attributes(node.tags),
    }
    if node.parent_id:
        span["parentSpanId"] = node.parent_id
    if node.root and whole.answered_ns is not None:
        at = whole.began_wall_ns + whole.answered_ns
        span["events"] = [{"timeUnixNano": str(at), "name": "answered"}]
    if "declined" in node.tags:
        span["status"] = {"code": _ERROR, "message": node.tags["declined"]}
    return span


def _attributes(tags: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": text}} for key, text in tags.items()]


def _root_tags(whole: Knit, task: str) -> dict[str, str]:
    tags = {"request": whole.request_id, "answer": outcome(whole.result)}
    if task:
        tags["task"] = task
    if whole.result is not None:
        tags["cause"] = whole.result.cause
        tags["schedule"] = whole.result.schedule_version
    return {key: text for key, text in tags.items() if text}


def _component_tags(whole: Knit, bar: Bar) -> dict[str, str]:
    tags = {"node": bar.node, "version": bar.version}
    if bar.by_wall:
        tags["clock"] = "wall"
    for part in whole.parts:
        if part.model == bar.model and part.model:
            tags |= {"model": part.model, "status": part.status, "reason": part.reason}
            tags |= {"version": part.version} if part.version else {}
            tags |= {"official": "true"} if part.official else {}
            tags |= {"ranOnMs": f"{part.ran_on_ns / 1e6:.3f}"} if part.ran_on_ns else {}
    return {key: text for key, text in tags.items() if text}


def _span_id(*what: str) -> str:
    found = hashlib.sha256("\0".join(what).encode()).hexdigest()[:16]
    return found if int(found, 16) else "1".zfill(16)
