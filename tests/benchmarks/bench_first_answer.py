"""First and hundredth answers: `BUNDLE STARTS` prints for each start three compute times in ms, those of a first answer
without warming, of the first one after warming, and of the hundredth.

Each is a process of its own, warmed as a scaffold warms it; the picture is another one than it was warmed with.
"""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from roost_models.bundle.opening import open_bundle
from roost_models.inference.predictor import ModelInput, load_predictor
from roost_models.inference.warming import warm_up

_LATER = 100


def one(bundle: Path, *, warm: bool) -> None:
    """One start."""
    predictor = warm_up(open_bundle(bundle)).predictor if warm else load_predictor(open_bundle(bundle))
    picture = np.random.default_rng(7).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    item = ModelInput(image=predictor.preprocess(picture))
    took = []
    for _ in range(_LATER):
        began = time.perf_counter()
        predictor.predict([item])
        took.append((time.perf_counter() - began) * 1000)
    print(*((took[0], sorted(took[-21:])[10]) if warm else (took[0],)), end="\n" if warm else " ", flush=True)


if __name__ == "__main__":
    if sys.argv[2] in ("cold", "warm"):
        one(Path(sys.argv[1]), warm=sys.argv[2] == "warm")
    else:
        for _ in range(int(sys.argv[2])):
            for how in ("cold", "warm"):
                subprocess.run([sys.executable, __file__, sys.argv[1], how], check=True)
