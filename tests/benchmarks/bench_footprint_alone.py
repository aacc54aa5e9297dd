"""What the footprint is compared with: `WHAT [ARGUMENT]`, a process that says `ready` and goes on until it is ended.

asyncio     an event loop that does nothing
model       asyncio, and the interpreter of the bundle ARGUMENT, warmed as a scaffold warms it
camera      the camera of `bench_footprint_scene` at ARGUMENT frames a second, whose pictures nobody looks at
"""

import asyncio
import sys
import time
from pathlib import Path


def main(what: str, argument: str) -> None:
    """See the module."""
    kept: object = None
    if what == "model":
        from roost_models.bundle.opening import open_bundle
        from roost_models.inference.warming import warm_up

        kept = warm_up(open_bundle(Path(argument)))
    print("ready", flush=True)
    if what == "camera":
        _camera(float(argument))
    asyncio.run(asyncio.Event().wait())
    del kept


def _camera(fps: float) -> None:
    from bench_footprint_scene import CrossedThenQuiet

    scene, index, began = CrossedThenQuiet(1, 640, 480, fps), 0, time.monotonic()
    while True:
        scene.frame(index)
        index += 1
        time.sleep(max(0.0, began + index / fps - time.monotonic()))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "")
