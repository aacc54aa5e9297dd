"""The description of the proxy's HTTP interface, OpenAPI 3.1, generated from the structs that are really read and sent.

`GET /openapi.json` gives it, with the tasks and limits of the device that is asked.
"""

from typing import Any, cast

import msgspec

from roost_broker.messages import Result
from roost_broker.schemas import schema_of
from roost_broker.version import VERSION
from roost_rendezvous.proxy.device_view import Health, Tasks, TaskView
from roost_rendezvous.proxy.questions import IMAGES, JsonQuestion, StreamQuestion
from roost_rendezvous.proxy.replies import Problem, StreamAnswer
from roost_rendezvous.proxy.settings import ProxySettings

_REFS = "#/components/schemas/"
_STRUCTS = (JsonQuestion, StreamQuestion, StreamAnswer, Problem, Health, TaskView, Tasks)
_ABOUT = """\
Ask a task of this device, and wait for its official result. The status tells an answer from a default:
200 is a classification, 504 the schedule's default, 503 no result at all; with 4xx the question could not be asked.
Nothing is kept for a caller: whoever hears 503 asks again, best with the same Idempotency-Key."""


def rendered(tasks: tuple[str, ...], settings: ProxySettings) -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(document(tasks, settings))


def document(tasks: tuple[str, ...], settings: ProxySettings) -> dict[str, Any]:
    """The document as plain values."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Roost request proxy", "version": VERSION, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "paths": {
            "/v1/tasks/{task}/requests": {"parameters": [_task(tasks)], "post": _ask(settings)},
            "/v1/tasks/{task}/stream": {"parameters": [_task(tasks)], "post": _stream("post"), "put": _stream("put")},
            "/v1/tasks": {"get": _get("tasks", "Every task of this device", "Tasks", {})},
            "/v1/tasks/{task}": {
                "parameters": [_task(tasks)],
                "get": _get("task", "One task: its promise, its schedule, its models", "TaskView", _refusals(404)),
            },
            "/healthz": {
                "get": _get(
                    "health",
                    "Whether a question asked now would be answered",
                    "Health",
                    {"503": _json("Health", "It would not be.")},
                )
            },
        },
        "components": {"schemas": _schemas()},
    }


def _schemas() -> dict[str, Any]:
    _, found = msgspec.json.schema_components(_STRUCTS, ref_template=_REFS + "{name}")
    result = schema_of(Result)
    shared = result.pop("$defs", {})
    for key in ("$schema", "$id"):
        result.pop(key)
    every = {**found, **shared, "Result": result}
    return cast("dict[str, Any]", _moved(every))


def _moved(value: Any) -> Any:
    """References as they are here; descriptions on one line: how docstrings are indented differs between Pythons."""
    if isinstance(value, dict):
        return {key: _moved_entry(key, entry) for key, entry in value.items()}
    return [_moved(entry) for entry in value] if isinstance(value, list) else value


def _moved_entry(key: str, value: Any) -> Any:
    if key == "$ref" and isinstance(value, str):
        return value.replace("#/$defs/", _REFS)
    if key == "description" and isinstance(value, str):
        return " ".join(value.split())
    return _moved(value)


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REFS + name}


def _json(name: str, sentence: str) -> dict[str, Any]:
    return {"description": sentence, "content": {"application/json": {"schema": _ref(name)}}}


def _task(tasks: tuple[str, ...]) -> dict[str, Any]:
    return {
        "name": "task",
        "in": "path",
        "required": True,
        "description": "One kind of decision, with models and a schedule of its own.",
        "schema": {"type": "string", "enum": list(tasks)} if tasks else {"type": "string"},
    }


_WHY = {
    400: "What was sent cannot be read.",
    403: "Diagnostics outside QA, or a page of another origin.",
    404: "There is no such task; the answer lists those there are.",
    408: "The body did not arrive in time.",
    413: "Too many bytes, or too many pixels.",
    415: "Not a content type of a question.",
    422: "It can be read, and cannot be meant: no picture, cut off, an impossible deadline.",
    429: "Too many are waiting already. Ask again after `Retry-After` seconds.",
    503: "No result in time: the rendezvous or the broker is not there; or no room for a picture. Ask again.",
}


def _refusals(*statuses: int) -> dict[str, Any]:
    return {str(status): _json("Problem", _WHY[status]) for status in statuses}


def _get(name: str, summary: str, schema: str, others: dict[str, Any]) -> dict[str, Any]:
    return {"operationId": name, "summary": summary, "responses": {"200": _json(schema, "As it is now."), **others}}


def _ask(settings: ProxySettings) -> dict[str, Any]:
    cause = {
        "description": "Why this answer: preferred, fallback, override or default.",
        "schema": {"type": "string", "enum": ["preferred", "fallback", "override", "default"]},
    }
    id_ = {"description": "Id of the request, as on every topic.", "schema": {"type": "string"}}
    headers = {"X-Roost-Cause": cause, "X-Roost-Request": id_}
    answers = {
        "200": {**_json("Result", "A classification, from one of the models."), "headers": headers},
        "504": {
            **_json("Result", "The schedule's default: no model answered in time. It is not a classification."),
            "headers": headers,
        },
    }
    picture = {"schema": {"type": "string", "format": "binary", "maxLength": settings.max_body_bytes}}
    return {
        "operationId": "ask",
        "summary": "Ask one question, and wait for its official result",
        "description": "Send a picture as it is, or JSON. What stands beside a picture is in the query or in headers "
        "(X-Roost-Deadline-Ms, X-Roost-Tag-<name>, X-Roost-Diagnostics).",
        "parameters": [
            _parameter(
                "deadline_ms",
                "An answer is wanted within so many milliseconds; without it, within the task's SLA.",
                {"type": "integer", "minimum": 1, "maximum": settings.max_deadline_ms},
            ),
            {
                **_parameter("tags", "tag.<name>=<value>, of your own choice; they come back in the result.", {}),
                "schema": {"type": "object", "patternProperties": {r"^tag\.": {"type": "string", "maxLength": 1000}}},
                "style": "form",
                "explode": True,
            },
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "The same question asked again with the same key is the same request: it gets the same "
                "answer, and no model works twice.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 200},
            },
            {
                "name": "traceparent",
                "in": "header",
                "description": "W3C Trace Context; goes into the provenance of everything about this request.",
                "schema": {"type": "string"},
            },
        ],
        "requestBody": {
            "required": True,
            "content": {**dict.fromkeys(IMAGES, picture), "application/json": {"schema": _ref("JsonQuestion")}},
        },
        "responses": {**answers, **_refusals(400, 403, 404, 408, 413, 415, 422, 429, 503)},
    }


def _parameter(name: str, sentence: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": sentence, "schema": schema}


def _stream(method: str) -> dict[str, Any]:
    lines = {"application/x-ndjson": {"schema": _ref("StreamAnswer")}}
    return {
        "operationId": "stream" if method == "post" else "streamPut",
        "summary": "Ask many questions on one connection" + ("" if method == "post" else " (`curl -T -` puts)"),
        "description": "NDJSON both ways, one object a line. Answers come as they are ready, in any order, each with "
        "the number and the `ref` of its line. While too many are open no more of the stream is read.",
        "requestBody": {
            "required": True,
            "content": {"application/x-ndjson": {"schema": _ref("StreamQuestion")}},
        },
        "responses": {
            "200": {"description": "One line for each line, with the status it would have had.", "content": lines},
            **_refusals(404, 415),
        },
    }
