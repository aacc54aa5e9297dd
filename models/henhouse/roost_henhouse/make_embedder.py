"""Write the henhouse's embedder: `python -m roost_henhouse.make_embedder`. Nothing is trained.

It is the champion without its last layer: what the champion makes of a picture before it decides. A head over these
features is trained in seconds (`roost train`).
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from roost_henhouse.recipe import BUNDLES, VERSION
from roost_models.bundle.folder import Bundle
from roost_models.bundle.opening import open_bundle
from roost_models.bundle.writing import seal, write_bundle
from roost_models.training.backbone import feature_labels
from roost_models.training.grafting import cut, ending

_CARD = """# henhouse-embedder

{description}

Input as the champion's: a picture of any size, brought to 96×96. Output: {features} numbers from 0 to 6, no
probabilities and no labels. Made from `{source}` (digest `{digest}`) by cutting off its last layer; nothing was
trained.

**Rendered scenes taught it what matters in a picture, and they do not transfer to real ones.** It is here so that
everything works without a download. For a camera of your own take an embedder that learnt from photographs
(docs/training.md says where from).

Licence: Apache-2.0.
"""
_DESCRIPTION = "The henhouse's embedder: the champion without its last layer, to train new heads on."


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the bundle. Exit status: 0 done, 2 wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m roost_henhouse.make_embedder", description=_DESCRIPTION)
    parser.add_argument("--out", type=Path, default=BUNDLES / "embedder", help="folder (default: the committed one)")
    parser.add_argument("--champion", type=Path, default=BUNDLES / "champion", help="the bundle to cut")
    options = parser.parse_args(arguments)
    make_embedder(open_bundle(options.champion), options.out)
    return 0


def make_embedder(champion: Bundle, folder: Path) -> Bundle:
    """The bundle of the champion's features. The same champion gives the same bytes."""
    manifest = champion.manifest
    content = champion.read(manifest.entry)
    features = ending(content).features
    goldens = [golden.input for golden in manifest.goldens if golden.input is not None]
    card = _CARD.format(
        description=_DESCRIPTION,
        features=features,
        source=f"{manifest.name} {manifest.version}",
        digest=champion.digest,
    )
    fields = {
        "name": "henhouse-embedder",
        "version": VERSION,
        "task": manifest.task,
        "engine": "tflite",
        "entry": "backbone.tflite",
        "labels": feature_labels(features),
        "input": msgspec.to_builtins(manifest.input),
        "output": {"activation": "none"},
        "runtime": msgspec.to_builtins(manifest.runtime),
        "licence": manifest.licence,
        "description": _DESCRIPTION,
        "training": {
            "method": "last layer cut off",
            "command": "python -m roost_henhouse.make_embedder",
            "from": {"name": manifest.name, "version": manifest.version, "bundle": champion.digest},
            "data": manifest.training.get("data", ""),
        },
        "goldens": [{"input": path, "tolerance": 0.05} for path in goldens],
        "batch": {"sizes": list(manifest.batch.sizes)},
        "queue": msgspec.to_builtins(manifest.queue),
        "card": "CARD.md",
    }
    files = {"backbone.tflite": cut(content), "CARD.md": card.encode()}
    write_bundle(folder, fields, {**files, **{path: champion.read(path) for path in goldens}})
    return seal(folder, goldens=True)


if __name__ == "__main__":
    sys.exit(main())
