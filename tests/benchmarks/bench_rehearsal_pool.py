"""What real models say of rendered pictures, plain, smeared and turned: the raw material of the rehearsal.

The pictures go through the camera's own fault injection, capture's own encoding and its figures; the models are the two
of the book's figure 7-2 (one breed learnt under another's name, then corrected) and the shipped canary.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from roost_broker.clock import VirtualClock
from roost_edge.capture.figures import figures
from roost_edge.capture.jpeg import jpeg_of
from roost_edge.capture.settings import CaptureSettings
from roost_edge.sources.choose import open_source
from roost_edge.sources.faults import CameraFault
from roost_edge.sources.frame import FrameSource
from roost_edge.sources.settings import CameraSettings
from roost_henhouse.recipe import BUNDLES
from roost_henhouse.relabelled import train_breeds
from roost_henhouse.scenes import write_scenes
from roost_henhouse.truth import LABELS
from roost_models.bundle.opening import open_bundle
from roost_models.inference.images import decode
from roost_models.inference.predictor import ModelInput, Predictor, load_predictor

FAULTS: dict[str, tuple[CameraFault, ...]] = {
    "plain": (),
    "smeared": (CameraFault(kind="blur", blur=0.03),),
    "turned": (CameraFault(kind="turn", turn_deg=35.0),),
}
MODELS = ("wrong", "right", "canary")


class World(NamedTuple):
    """A henhouse: which breed was taken for which, and the pictures of the training and of the camera."""

    breed: str
    taken_for: str
    learnt_from: int
    """Seed of the pictures that both models learnt from."""
    shown: int
    """Seed of the pictures that the camera takes."""


class Shot(NamedTuple):
    """One picture as the flow sees it."""

    shows: str
    bytes: int
    width: int
    height: int
    figures: dict[str, float]
    """What capture says of it: brightness, contrast, sharpness."""
    scores: dict[str, dict[str, float]]
    """By model, then by label."""


def make_pool(folder: Path, world: World, per_class: int, say: Callable[[str], None]) -> dict[str, list[Shot]]:
    """By what is wrong with the camera: `per_class` pictures of each label. Takes some tens of seconds."""
    say(f"{world.breed} taken for {world.taken_for}: training the mistaken and the corrected model …")
    mistake = {world.breed: world.taken_for}
    wrong, right = train_breeds(folder / "breeds", seed=world.learnt_from, mistake=mistake)
    predictors = {
        "wrong": load_predictor(wrong),
        "right": load_predictor(right),
        "canary": load_predictor(open_bundle(BUNDLES / "canary")),
    }
    say("rendering what the camera shows …")
    write_scenes(folder / "shown", per_class, world.shown)
    say("asking the models …")
    return {
        name: [shot for label in LABELS for shot in _shots(folder / "shown" / label, label, faults, predictors)]
        for name, faults in FAULTS.items()
    }


def _shots(folder: Path, label: str, faults: tuple[CameraFault, ...], predictors: dict[str, Predictor]) -> list[Shot]:
    settings = CameraSettings(source="folder", path=str(folder), realtime=False, faults=faults)
    source: FrameSource = open_source(settings, VirtualClock())
    source.open()
    found = []
    while (frame := source.read()) is not None:
        jpeg = jpeg_of(replace(frame, encoded=None), CaptureSettings())
        picture = decode(jpeg.data)
        scores = {}
        for name, predictor in predictors.items():
            outputs = predictor.predict([ModelInput(image=predictor.preprocess(picture))])[0]
            scores[name] = {one.label: one.score for one in outputs}
        found.append(Shot(label, len(jpeg.data), jpeg.width, jpeg.height, figures(frame), scores))
    source.close()
    return found
