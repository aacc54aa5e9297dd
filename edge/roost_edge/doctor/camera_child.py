"""One frame from one camera: `python -m roost_edge.doctor.camera_child PARENT`, settings on stdin, a word on stdout.

It is killed when the process PARENT ends.
"""

import os
import sys
import time

import msgspec

from roost_broker.errors import RoostError
from roost_edge.doctor.camera_words import Failed, Seen, Word
from roost_edge.processes.own_process import die_with_parent, leave
from roost_edge.sources.choose import open_source
from roost_edge.sources.settings import CameraSettings


def main() -> int:
    """Exit status 0 with an answer, whatever the answer is."""
    die_with_parent(int(sys.argv[1]))
    words = os.dup(1)
    os.dup2(2, 1)  # what a library prints must not spoil the answer
    os.write(words, msgspec.json.encode(tried(sys.stdin.buffer.read())))
    return 0


def tried(settings: bytes) -> Word:
    """Open, read once, close."""
    try:
        source = open_source(msgspec.json.decode(settings, type=CameraSettings))
        began = time.monotonic()
        source.open()
        frame = source.read()
        took = (time.monotonic() - began) * 1000
        title = source.describe()
        source.close()
    except RoostError as error:
        return Failed(error.problem, error.remedy)
    except ModuleNotFoundError as error:
        return Failed(f"It needs {error.name}, which is not installed.", "Install the parts for a device: roost[edge].")
    except Exception as error:  # noqa: BLE001 — whatever a driver raises becomes a sentence
        return Failed(f"{type(error).__name__}: {error}.", "")
    if frame is None:
        return Failed(f"{title} has no frame.", "Look whether it is empty, or at its end.")
    height, width = frame.image.shape[:2]
    return Seen(width, height, round(took, 1), round(float(frame.image.std()), 2), title)


if __name__ == "__main__":
    leave(main())
