"""JSON Schemas (draft 2020-12) of all messages, generated from the structs and committed in `broker/schemas/`.

    python -m roost_broker.schemas           write them
    python -m roost_broker.schemas --check   exit 1 when they are not up to date

Descriptions are the docstrings of the structs and of their fields. Unknown fields are allowed: newer senders may add
some.
"""

import argparse
import ast
import inspect
import itertools
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from roost_broker import messages
from roost_broker.messages import MESSAGE_TYPES

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def schema_name(message_type: type[msgspec.Struct]) -> str:
    """The value of the field `schema`, such as `roost.request/1`."""
    return str(message_type.__struct_config__.tag)


def file_name(name: str) -> str:
    """File of a schema: `roost.request/1` is in `roost.request-1.json`."""
    return f"{name.replace('/', '-')}.json"


def schema_of(message_type: type[msgspec.Struct]) -> dict[str, Any]:
    """One self-contained schema."""
    name = schema_name(message_type)
    (root,), components = msgspec.json.schema_components([message_type], ref_template="#/$defs/{name}")
    definitions = dict(components)
    own = definitions.pop(root["$ref"].rsplit("/", 1)[-1])
    described = {key: _describe(key, value) for key, value in sorted(definitions.items())}
    body = _describe(message_type.__name__, own)
    # The id is a name, not an address: nothing is fetched to validate a message.
    schema = {"$schema": _DRAFT, "$id": f"urn:{name.replace('.', ':').replace('/', ':')}", **body}
    schema["title"] = name
    if described:
        schema["$defs"] = described
    return schema


def all_schemas() -> dict[str, dict[str, Any]]:
    """Every message's schema by its name."""
    return {schema_name(one): schema_of(one) for one in MESSAGE_TYPES}


def rendered() -> dict[str, str]:
    """File names with their text."""
    files = {}
    for name, schema in all_schemas().items():
        text = msgspec.json.format(msgspec.json.encode(schema), indent=2).decode()
        files[file_name(name)] = f"{text}\n"
    return files


def schemas_folder() -> Path:
    """`broker/schemas` of a source tree."""
    return Path(__file__).resolve().parents[1] / "schemas"


def stale(folder: Path) -> list[str]:
    """Names of files that are missing, different or too many, sorted."""
    wanted = rendered()
    present = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    return sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))


def write(folder: Path) -> list[str]:
    """Bring a folder up to date; returns the names of what changed."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = stale(folder)
    wanted = rendered()
    for name in changed:
        if name in wanted:
            (folder / name).write_text(wanted[name], encoding="utf-8")
        else:
            (folder / name).unlink()
    return changed


def _describe(struct_name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with the field docstrings of its struct as descriptions."""
    docs = _field_docs(getattr(messages, struct_name))
    properties = {
        key: {**value, "description": docs[key]} if key in docs else value
        for key, value in schema.get("properties", {}).items()
    }
    # Put into one line: how docstrings are indented differs between Python versions.
    return {**schema, "description": " ".join(schema["description"].split()), "properties": properties}


def _field_docs(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Docstrings below fields, by wire name. Python does not keep them, so they are read from the source."""
    wire = dict(zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True))
    docs: dict[str, str] = {}
    for owner in reversed(struct.__mro__):
        if not owner.__module__.startswith(f"{messages.__name__}."):
            continue
        body = _class_bodies(owner.__module__).get(owner.__name__, [])
        for field, below in itertools.pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
                text = ast.literal_eval(below.value)
                docs[wire[field.target.id]] = " ".join(str(text).split())
    return docs


@lru_cache
def _class_bodies(module_name: str) -> dict[str, list[ast.stmt]]:
    module = ast.parse(inspect.getsource(sys.modules[module_name]))
    return {one.name: one.body for one in module.body if isinstance(one, ast.ClassDef)}


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m roost_broker.schemas", description="Write broker/schemas.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is not up to date")
    options = parser.parse_args(arguments)
    folder = schemas_folder()
    changed = stale(folder) if options.check else write(folder)
    for name in changed:
        sys.stderr.write(f"{'not up to date' if options.check else 'written'}: {name}\n")
    if options.check and changed:
        sys.stderr.write("Run: python -m roost_broker.schemas\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
