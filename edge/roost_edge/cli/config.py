"""`roost config`: check, show, explain and begin a settings file."""

import re
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from roost_broker.errors import Misuse
from roost_edge.cli import output
from roost_edge.cli.operator import DEFAULT_SETTINGS, SettingsFile
from roost_edge.cli.output import EXIT_CODES, Json
from roost_edge.plurals import counted

app = typer.Typer(no_args_is_help=True, help="Settings: check, show, schema, example.")

File = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="The settings file (TOML); the same as --settings.", show_default=False),
]
_MASK = "***"
_BARE = re.compile(r"[A-Za-z0-9_-]+")


@app.command(epilog=EXIT_CODES)
def check(
    context: typer.Context, file: File = None, settings: SettingsFile = DEFAULT_SETTINGS, as_json: Json = False
) -> None:
    """Say whether a device can run on this file.

    Looks at settings, schedules, bundles, pictures and the data folder.

    Status 0 when there is no error (warnings are allowed), 1 otherwise.
    """
    from roost_edge.settings.check import check as check_settings

    file = _meant(context, file, settings)
    findings = check_settings(file)
    errors = sum(finding.level == "error" for finding in findings)
    if as_json:
        output.data({"file": str(file), "ok": errors == 0, "findings": findings})
    else:
        for finding in findings:
            field = f"{finding.field}: " if finding.field else ""
            print(f"{file}:{finding.line}: {finding.level}: {field}{finding.problem}")
            print(f"    → {finding.remedy}")
        verdict = "cannot be used" if errors else "can be used"
        print(f"{file} {verdict}: {counted(errors, 'error')}, {counted(len(findings) - errors, 'warning')}.")
    raise typer.Exit(output.NO if errors else output.OK)


@app.command(epilog=EXIT_CODES)
def show(
    context: typer.Context, file: File = None, settings: SettingsFile = DEFAULT_SETTINGS, as_json: Json = False
) -> None:
    """Print the settings in effect.

    Defaults are included; secrets are masked.
    """
    from roost_edge.settings.loading import load

    effective = masked(msgspec.to_builtins(load(_meant(context, file, settings))))
    if as_json:
        output.data(effective)
    else:
        print(to_toml(effective), end="")


@app.command(epilog=EXIT_CODES)
def schema() -> None:
    """Print the JSON Schema of the settings file.

    For editors that complete and check TOML.
    """
    from roost_edge.settings.schema import text

    print(text(), end="")


@app.command(epilog=EXIT_CODES)
def example(
    name: Annotated[str, typer.Argument(help="Which one; `--list` names them.")] = "henhouse",
    names: Annotated[bool, typer.Option("--list", help="Name the examples.")] = False,
    as_json: Json = False,
) -> None:
    """Print an example of a settings file.

    With its reasons, to begin with: roost config example > roost.toml.
    """
    found = {
        Path(item.name).stem: item
        for item in resources.files("roost_edge.examples").iterdir()
        if item.name.endswith(".toml")
    }
    if names:
        output.data(sorted(found)) if as_json else print("\n".join(sorted(found)))
        return
    if name not in found:
        raise Misuse(f"There is no example {name!r}.", f"There are: {', '.join(sorted(found))}.")
    text = found[name].read_text(encoding="utf-8")
    output.data({"name": name, "toml": text}) if as_json else print(text, end="")


def _meant(context: typer.Context, file: Path | None, settings: Path) -> Path:
    """The file that was named, in either way. Raises `Misuse` when both ways name one."""
    if file is None:
        return settings
    source = context.get_parameter_source("settings")
    if source is not None and source.name == "COMMANDLINE":
        raise Misuse("Two settings files are named, and one is looked at.", "Give FILE or --settings FILE, not both.")
    return file


def masked(settings: dict[str, Any]) -> dict[str, Any]:
    """The same values without what must not be shown: passwords, and credentials inside addresses."""
    from roost_edge.sources.settings import masked as without_credentials

    shown: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            shown[key] = masked(value)
        elif key == "password" and value is not None:
            shown[key] = _MASK
        elif key == "url" and value:
            shown[key] = without_credentials(value)
        else:
            shown[key] = value
    return shown


def to_toml(values: dict[str, Any], path: tuple[str, ...] = ()) -> str:
    """Tables, texts, numbers and lists as TOML; what is None has no line, as TOML knows no null."""
    plain = {key: value for key, value in values.items() if not isinstance(value, dict) and value is not None}
    lines = [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    head = ".".join(map(_key, path))
    text = (f"[{head}]\n" if path and lines else "") + "".join(f"{line}\n" for line in lines)
    tables = [to_toml(value, (*path, key)) for key, value in values.items() if isinstance(value, dict)]
    return "\n".join(part for part in (text, *tables) if part)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _value(name)


def _value(value: Any) -> str:
    """A text, a number and a truth value are written as in JSON; a table inside a list has TOML's own way."""
    if isinstance(value, dict):
        inner = ", ".join(f"{_key(key)} = {_value(part)}" for key, part in value.items() if part is not None)
        return f"{{{inner}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return msgspec.json.encode(value).decode()
