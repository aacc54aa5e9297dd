"""The JSON Schema of the settings file, for editors: `python -m roost_edge.settings.schema [--check]`.

It is generated from the structs and committed as `edge/settings.schema.json`; a test keeps the two equal.
"""

import argparse
import inspect
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from roost_edge.settings.device import Settings

COMMITTED = Path(__file__).parents[2] / "settings.schema.json"
"""In a checkout. An installed Roost prints its schema with `roost config schema`."""


def schema() -> dict[str, Any]:
    """The schema as plain values, JSON Schema 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of one Roost device",
        **{key: _tidy(value) for key, value in msgspec.json.schema(Settings).items()},
    }


def _tidy(value: Any) -> Any:
    """Docstrings without their indentation: Python 3.13 takes it off by itself, and the schema is one for all."""
    if isinstance(value, dict):
        return {
            key: inspect.cleandoc(part) if key == "description" and isinstance(part, str) else _tidy(part)
            for key, part in value.items()
        }
    return [_tidy(part) for part in value] if isinstance(value, list) else value


def text() -> str:
    """The schema as it is committed."""
    return json.dumps(schema(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the schema, or with `--check` say whether the committed one is current."""
    parser = argparse.ArgumentParser(description="Write edge/settings.schema.json.")
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 when it is out of date")
    if not parser.parse_args(arguments).check:
        COMMITTED.write_text(text(), encoding="utf-8")
        return 0
    if COMMITTED.is_file() and COMMITTED.read_text(encoding="utf-8") == text():
        return 0
    sys.stderr.write(f"{COMMITTED} is out of date. Run `python -m roost_edge.settings.schema`.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
