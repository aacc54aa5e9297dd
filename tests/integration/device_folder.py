"""What stands on a device's card before its roles start: settings, a schedule, bundles, pictures.

One task and one camera; what differs from test to test is an argument.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from roost_models.bundle.writing import new_bundle

TASK, CAMERA = "henhouse", "nest"
# A folder of pictures, shown again and again: each picture is a question of its own.
PICTURES: Mapping[str, object] = {"source": "folder", "path": "pictures", "loop": True, "fps": 10.0}


def write_settings(
    folder: Path,
    *,
    node: str,
    port: int,
    bundles: Mapping[str, Path | str],
    camera: Mapping[str, object] = PICTURES,
    capture: Mapping[str, object] | None = None,
) -> Path:
    """`roost.toml` of a device with these bundles (by model name; a relative path counts from `folder`)."""
    path = folder / "roost.toml"
    path.write_text(
        _table("node", {"name": node, "data": "data"})
        + _table("broker", {"port": port})
        + _table(
            f"tasks.{TASK}",
            {"schedule": "schedule.toml"}
            | {f"models.{model}.bundle": str(bundle) for model, bundle in bundles.items()},
        )
        + _table(f"cameras.{CAMERA}", {"task": TASK, **camera})
        + (_table(f"cameras.{CAMERA}.capture", capture) if capture else ""),
        encoding="utf-8",
    )
    return path


def _table(name: str, values: Mapping[str, object]) -> str:
    # A number, a string and a truth value are written in TOML as they are in JSON.
    return f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


def write_schedule(folder: Path, *models: str) -> None:
    """`schedule.toml`: the first model's answer is preferred, every 600 ms the next one's will do."""
    steps = (f'[[step]]\nafter_ms = {600 * number}\naccept = ["{model}"]\n' for number, model in enumerate(models))
    (folder / "schedule.toml").write_text(
        f'task = "{TASK}"\nsla_ms = 2000\n{"".join(steps)}[default]\nafter_ms = 1900\nlabel = "unknown"\n',
        encoding="utf-8",
    )


def write_bundle(folder: Path, name: str) -> Path:
    """A small bundle that says whether a picture is bright, in a folder of its name."""
    new_bundle(folder / name, name=name, task=TASK)
    return folder / name


def write_pictures(folder: Path, *shades: int) -> None:
    """One grey picture of each shade (0 to 255), shown in the order of the shades."""
    pictures = folder / "pictures"
    pictures.mkdir()
    for shade in shades:
        Image.fromarray(np.full((120, 160, 3), shade, dtype=np.uint8)).save(pictures / f"{shade:03}.png")
