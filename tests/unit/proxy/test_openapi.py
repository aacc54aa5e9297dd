"""The description is what it claims to be, and says what the code does."""

import re
from importlib import resources
from typing import Any

import jsonschema
import msgspec
import pytest

from roost_broker.messages import DefaultAnswer, Result
from roost_rendezvous.proxy import openapi, replies
from roost_rendezvous.proxy.handlers import Handlers
from roost_rendezvous.proxy.refused import Refused
from roost_rendezvous.proxy.settings import ProxySettings

DOCUMENT: dict[str, Any] = msgspec.json.decode(openapi.rendered(("nest", "door"), ProxySettings()))
PAGE = resources.files("roost_rendezvous.proxy").joinpath("docs_page.html").read_text(encoding="utf-8")
# The parts of OpenAPI 3.1 (its §4.8) that this document uses, in our own words.
_OPERATION = {
    "type": "object",
    "required": ["operationId", "summary", "responses"],
    "additionalProperties": False,
    "properties": {
        "operationId": {"type": "string", "pattern": "^[a-zA-Z]+$"},
        "summary": {"type": "string", "minLength": 1},
        "description": {"type": "string"},
        "parameters": {"type": "array", "items": {"$ref": "#/$defs/parameter"}},
        "requestBody": {
            "type": "object",
            "required": ["content"],
            "properties": {"required": {"type": "boolean"}, "content": {"$ref": "#/$defs/content"}},
            "additionalProperties": False,
        },
        "responses": {
            "type": "object",
            "minProperties": 1,
            "patternProperties": {
                "^[1-5][0-9][0-9]$": {
                    "type": "object",
                    "required": ["description"],
                    "properties": {
                        "description": {"type": "string"},
                        "headers": {"type": "object"},
                        "content": {"$ref": "#/$defs/content"},
                    },
                    "additionalProperties": False,
                }
            },
            "additionalProperties": False,
        },
    },
}
OPENAPI = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$defs": {
        "parameter": {
            "type": "object",
            "required": ["name", "in", "schema"],
            "properties": {
                "name": {"type": "string"},
                "in": {"enum": ["query", "header", "path", "cookie"]},
                "required": {"type": "boolean"},
                "description": {"type": "string"},
                "schema": {"type": "object"},
                "style": {"type": "string"},
                "explode": {"type": "boolean"},
            },
            "if": {"properties": {"in": {"const": "path"}}},
            "then": {"properties": {"required": {"const": True}}, "required": ["required"]},
            "additionalProperties": False,
        },
        "content": {
            "type": "object",
            "patternProperties": {"^[a-z]+/[a-z0-9.+-]+$": {"type": "object", "required": ["schema"]}},
            "additionalProperties": False,
        },
        "operation": _OPERATION,
    },
    "type": "object",
    "required": ["openapi", "info", "paths"],
    "properties": {
        "openapi": {"const": "3.1.0"},
        "info": {"type": "object", "required": ["title", "version"]},
        "servers": {"type": "array", "items": {"type": "object", "required": ["url"]}},
        "paths": {
            "patternProperties": {
                "^/": {
                    "type": "object",
                    "properties": {
                        "parameters": {"type": "array", "items": {"$ref": "#/$defs/parameter"}},
                        **{method: {"$ref": "#/$defs/operation"} for method in ("get", "post", "put")},
                    },
                    "additionalProperties": False,
                }
            },
            "additionalProperties": False,
        },
        "components": {"type": "object", "properties": {"schemas": {"type": "object"}}, "additionalProperties": False},
    },
    "additionalProperties": False,
}


def test_the_document_is_openapi() -> None:
    jsonschema.Draft202012Validator(OPENAPI).validate(DOCUMENT)
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for inner in value.values() for found in references(inner)]
    return [found for inner in value for found in references(inner)] if isinstance(value, list) else []


def test_every_reference_leads_somewhere_and_every_schema_is_referred_to() -> None:
    used = {reference.removeprefix("#/components/schemas/") for reference in references(DOCUMENT)}
    assert used == DOCUMENT["components"]["schemas"].keys()


def test_operation_ids_are_unique_and_parameters_of_addresses_are_declared() -> None:
    ids = []
    for path, item in DOCUMENT["paths"].items():
        declared = {one["name"] for one in item.get("parameters", []) if one["in"] == "path"}
        assert declared == set(re.findall(r"{(\w+)}", path))
        ids += [item[method]["operationId"] for method in ("get", "post", "put") if method in item]
    assert len(set(ids)) == len(ids)


def test_it_describes_every_address_of_the_application_and_no_other() -> None:
    app = Handlers.application(Handlers.__new__(Handlers))
    served = {(route.resource.canonical, route.method) for route in app.router.routes() if route.resource}
    described = {
        (path, method.upper())
        for path, item in DOCUMENT["paths"].items()
        for method in ("get", "post", "put")
        if method in item
    }
    documents = {(path, "GET") for path in ("/", "/docs", "/openapi.json")}
    assert {(path, method) for path, method in served if method != "HEAD"} == described | documents


def validate(name: str, value: object) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(schema).validate(value)


def test_what_is_sent_is_what_is_described() -> None:
    result = Result(
        timestamp=1,
        message_id="0" * 32,
        request_id="1" * 32,
        cause="default",
        default=DefaultAnswer(label="unknown", reason="nobody answered"),
        elapsed_ms=1.0,
        sla_ms=2000,
    )
    given = replies.of_result(result, msgspec.json.encode(result))
    assert given.status == 504
    validate("Result", msgspec.json.decode(given.payload))
    validate("StreamAnswer", msgspec.json.decode(given.line(3, "r")))
    refused = replies.of_refusal(Refused(404, "No.", "Yes."), ["nest"])
    validate("Problem", msgspec.json.decode(refused.payload))
    validate("StreamAnswer", msgspec.json.decode(refused.line(3, None)))


@pytest.mark.parametrize(
    ("body", "good"),
    [
        ({"input": {"values": {"a": 1}}, "deadlineMs": 5, "tags": {"a": "b"}}, True),
        ({"input": {"values": {}}, "deadline": 5}, False),
        ({"tags": {}}, False),
    ],
)
def test_what_is_described_is_what_is_read(body: dict[str, Any], good: bool) -> None:
    from roost_rendezvous.proxy.questions import Limits, read_json

    try:
        validate("JsonQuestion", body)
        described = True
    except jsonschema.ValidationError:
        described = False
    try:
        read_json(msgspec.json.encode(body), Limits(1, 100))
        read = True
    except Refused:
        read = False
    assert (described, read) == (good, good)


def test_the_page_loads_nothing_from_anywhere_else() -> None:
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!/openapi\.json|data:,")|@import|url\(|https?://""", PAGE)
    assert "innerHTML" not in PAGE
