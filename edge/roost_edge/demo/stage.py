"""The demo's device: a real settings file and a real schedule in a folder of its own, as an operator has them."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

from roost_edge.demo.models import CAMERA, MODELS, NODE, TASK
from roost_edge.demo.options import Options

SETTINGS = "settings.toml"
SCHEDULE = "schedule.toml"


def build(folder: Path, options: Options, *, henhouse: Path, port: int) -> Path:
    """Write settings and schedule into `folder`; returns the settings file."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(henhouse / SCHEDULE, folder / SCHEDULE)
    path = folder / SETTINGS
    path.write_text(settings_text(options, henhouse=henhouse, port=port), encoding="utf-8")
    return path


def settings_text(options: Options, *, henhouse: Path, port: int) -> str:
    """The settings file's text. Faults are the only reason for `qa`; the schedule's SLA is the requests' deadline."""
    models = "\n".join(
        f"[tasks.{TASK}.models.{model}]\nbundle = {_text(henhouse / 'bundles' / model)}\n" for model in MODELS
    )
    return f"""\
# Written by the demo; `roost config check` reads it like any other.
[node]
name = "{NODE}"
data = "data"
qa = {_yes_no(bool(options.faults))}

[broker]
port = {port}

[tasks.{TASK}]
schedule = "{SCHEDULE}"

{models}
[cameras.{CAMERA}]
task = "{TASK}"
{_source(options)}
[cameras.{CAMERA}.capture]
interval_ms = {_INTERVAL_MS}
max_seconds = {options.seconds or 0.0:g}

[alerts]
quiet_labels = ["empty_nest"]
update_interval_s = 5
end_after_s = 8
cooldown_s = 0
{_proxy()}"""


def _proxy() -> str:
    """HTTP on any free port, where the extra `web` is installed; the role's state says which."""
    return "\n[proxy]\nport = 0\n" if find_spec("aiohttp") is not None else ""


_INTERVAL_MS = 800


def _source(options: Options) -> str:
    match options.source:
        case "synthetic":
            return f'source = "synthetic"\nseed = {options.seed}\n'
        case "video":
            return f'source = "video"\npath = {_text(options.path)}\nloop = {_yes_no(options.seconds is not None)}\n'
        case "folder":
            return f'source = "folder"\npath = {_text(options.path)}\nloop = {_yes_no(options.seconds is not None)}\n'


def _yes_no(value: bool) -> str:
    return "true" if value else "false"


def _text(path: Path | None) -> str:
    """A path as a TOML basic string, whose escapes are those of JSON."""
    return json.dumps(str(path), ensure_ascii=False).replace("\x7f", "\\u007f")
