"""Write bundles: from parts, by sealing an edited folder, or a skeleton for an author to start from.

The manifest is written last and durably, so a folder is a bundle or plainly is not.
"""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from roost_broker.durable import write_durably
from roost_broker.errors import Malformed, Misuse
from roost_broker.topics import check_name
from roost_models.bundle.folder import Bundle, files_below, open_folder, read_manifest
from roost_models.bundle.manifest import MANIFEST, MAX_MANIFEST_BYTES, Manifest, check_path, parse, render
from roost_models.bundle.trial import try_in_child


def write_bundle(folder: Path, fields: Mapping[str, Any], files: Mapping[str, bytes]) -> Bundle:
    """Make `folder` a bundle of these files. `fields` are the manifest's but `schema` and `files`.

    What the folder held as a bundle before is replaced; a folder with anything else in it is refused (`Misuse`).
    """
    _check_replaceable(folder)
    manifest = _manifest({**fields, "files": {path: _entry(data) for path, data in files.items()}})
    if folder.exists():
        shutil.rmtree(folder)
    for path, data in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    write_durably(folder / MANIFEST, render(manifest))
    return open_folder(folder)


def seal(folder: Path, *, goldens: bool = False) -> Bundle:
    """Accept an edited folder: write the digests of the files that are there now.

    With `goldens` each golden is evaluated in a child process and its outputs are replaced by what came out. The
    manifest is written when all that is done; if anything fails, the folder is as it was.
    """
    loose = _loose(folder)
    loose["files"] = {path: _entry((folder / path).read_bytes()) for path in sorted(files_below(folder))}
    if goldens and isinstance(loose.get("goldens"), list):  # measured anew: the old ones may name labels of before
        loose["goldens"] = [{**one, "outputs": []} if isinstance(one, dict) else one for one in loose["goldens"]]
    manifest = _manifest(loose)
    if goldens and manifest.goldens:
        trial = try_in_child(open_folder(folder, render(manifest)))
        measured = [
            msgspec.structs.replace(golden, outputs=result.outputs)
            for golden, result in zip(manifest.goldens, trial.goldens, strict=True)
        ]
        manifest = msgspec.structs.replace(manifest, goldens=measured)
    write_durably(folder / MANIFEST, render(manifest))
    return open_folder(folder)


def check_new(folder: Path, *, name: str, task: str) -> None:
    """Raise `Misuse` unless `folder` is free for a new bundle, and it can be called so."""
    check_name("model", name)
    check_name("task", task)
    if folder.exists() and not folder.is_dir():
        raise Misuse(f"{folder} is not a folder.", "Give a new folder.")
    if folder.is_dir() and any(folder.iterdir()):
        raise Misuse(f"{folder} is not empty.", "Give a new folder, or remove it first.")


def new_bundle(folder: Path, *, name: str, task: str) -> Bundle:
    """A complete small bundle of engine `python` for an author to change: it checks, runs and replays as it is."""
    from roost_models.bundle.goldens import ramps
    from roost_models.inference.images import encode_png

    check_new(folder, name=name, task=task)
    fields = {
        "name": name,
        "version": "0.1.0",
        "task": task,
        "engine": "python",
        "entry": "model.py",
        "labels": ["bright", "dark"],
        "input": {"width": 32, "height": 24},
        "runtime": {"python": ">=3.11", "packages": {"numpy": ">=1.26"}},
        "licence": "NOASSERTION",
        "description": "A skeleton: says whether a picture is bright.",
        "goldens": [{"input": "goldens/pattern.png", "tolerance": 0.001}],
        "card": "CARD.md",
    }
    files = {
        "model.py": _MODEL.encode(),
        "CARD.md": _CARD.format(name=name).encode(),
        "goldens/pattern.png": encode_png(ramps()),
    }
    write_bundle(folder, fields, files)
    return seal(folder, goldens=True)


_MODEL = '''\
"""Says whether a picture is bright: replace this by your model."""


def predict(image, context):
    """Picture (height, width, 3) of uint8 to {label: score}; context has .state, .tags, .values, .folder."""
    brightness = float(image.mean()) / 255
    return {"bright": brightness, "dark": 1 - brightness}
'''

_CARD = """\
# {name}

What it is for:
How it was made, from which data, under which licence:
How good it is, measured on what, and where it must not be trusted:
"""


def _check_replaceable(folder: Path) -> None:
    remedy = "Give a new folder; nothing was changed."
    if folder.exists() and not folder.is_dir():
        raise Misuse(f"{folder} is not a folder.", remedy)
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    try:  # web applications have a manifest.json too
        own = set(parse(read_manifest(folder)).files)
        others = sorted(files_below(folder) - own)
    except (Malformed, Misuse) as error:
        raise Misuse(f"{folder} holds files, and is not a bundle: {error.problem}", remedy) from error
    if others:
        raise Misuse(f"{folder} holds {others[0]!r}, which is not of the bundle there.", remedy)


def _loose(folder: Path) -> dict[str, Any]:
    """A manifest whose `files` need not fit: that is what sealing mends."""
    data = read_manifest(folder)
    try:
        if len(data) > MAX_MANIFEST_BYTES:
            raise ValueError(f"{len(data)} bytes are over the limit of {MAX_MANIFEST_BYTES}")
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Malformed(f"{folder / MANIFEST} is not JSON: {error}.", "Correct it at that place.") from error


def _manifest(fields: Mapping[str, Any]) -> Manifest:
    """Checked as when it is read, so nothing can be written that cannot be opened."""
    for path in fields.get("files", {}):
        try:
            check_path(path)
        except ValueError as error:
            raise Malformed(f"{error}.", "Rename or remove that file.") from error
    return parse(msgspec.json.encode({**fields, "schema": "roost.bundle/1"}))


def _entry(data: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
