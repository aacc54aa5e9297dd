"""A camera that renders its pictures: any class named in the settings as `module:attribute`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol

from roost_broker.clock import SECOND, Clock
from roost_broker.errors import Misuse
from roost_edge.sources.frame import CameraFailed, Frame
from roost_edge.sources.pace import Pace
from roost_edge.sources.settings import CameraSettings

if TYPE_CHECKING:
    from roost_edge.sources.frame import Image


class Scene(Protocol):
    """What a scene class offers; it is called with seed, width, height and fps."""

    def frame(self, index: int) -> tuple[Image, object]:
        """The RGB picture at `index` and the truth about it; the same index is the same picture."""
        ...


class SyntheticSource:
    """Shows a scene at its own speed. It never ends unless `frames` says so."""

    stills = False
    live = False

    def __init__(self, settings: CameraSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._pace = Pace(clock, settings.fps, realtime=settings.realtime)
        self._scene: Scene | None = None
        self._next = 0

    def open(self) -> None:
        """See `FrameSource`."""
        chosen = self._settings
        self._scene = load_scene(chosen.scene, chosen.seed, chosen.width, chosen.height, chosen.fps)
        self._next = 0
        self._pace.start()

    def read(self) -> Frame | None:
        """See `FrameSource`."""
        index = self._pace.wait(self._next)
        scene, last = self._scene, self._settings.frames
        if index is None or scene is None or (last and index >= last):
            return None
        self._next = index + 1
        try:
            image, truth = scene.frame(index)
        except Exception as error:
            raise CameraFailed(f"Scene {self._settings.scene} failed at frame {index}: {error}.") from error
        return Frame(
            image=image,
            at_monotonic_ns=self._clock.monotonic_ns(),
            wall_ns=self._clock.wall_ns(),
            index=index,
            media_ns=round(index * SECOND / self._settings.fps),
            truth=truth,
            rendered_by=f"{self._settings.scene}, seed {self._settings.seed}",
        )

    def close(self) -> None:
        """See `FrameSource`."""
        self._pace.stop()

    def describe(self) -> str:
        """See `FrameSource`."""
        chosen = self._settings
        return f"synthetic {chosen.scene} seed {chosen.seed}, {chosen.width}×{chosen.height} at {chosen.fps:g}/s"


def load_scene(where: str, seed: int, width: int, height: int, fps: float) -> Scene:
    """Import and call a scene class; `Misuse` says what is wrong with the setting."""
    module_name, _, attribute = where.partition(":")
    try:
        made = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise Misuse(
            f"The scene {where} cannot be loaded: {error}.",
            'Set scene = "module:attribute"; roost_edge.sources.test_scene:MovingSquare is always there.',
        ) from error
    scene: Scene = made(seed=seed, width=width, height=height, fps=fps)
    image, _ = scene.frame(0)
    if image.shape != (height, width, 3) or image.dtype.name != "uint8":
        raise Misuse(
            f"The scene {where} draws {image.shape} {image.dtype}, not ({height}, {width}, 3) uint8.",
            "A scene returns RGB pictures of the width and height it was called with.",
        )
    return scene
