"""Writes period after period into a store of sketches until it is killed; a line on stdout for each that is kept."""

import sys
from pathlib import Path

import numpy as np

from roost_rendezvous.analytics.sketches.book import Closed
from roost_rendezvous.analytics.sketches.digest import TDigest
from roost_rendezvous.analytics.sketches.qualifiers import DAY_S, PERIOD_S, qualifiers
from roost_rendezvous.analytics.sketches.store import SketchStore

COMBINATIONS = [qualifiers("henhouse", "score", model=f"model-{i}") for i in range(5)]


def main() -> None:
    store = SketchStore(Path(sys.argv[1]))
    sketch = TDigest.of(np.arange(100.0))
    for index in range(int(sys.argv[2]), 1_000_000):
        store.put(Closed(index * PERIOD_S, one, sketch) for one in COMBINATIONS)
        if index % 20 == 0:
            store.roll_up(index * PERIOD_S + DAY_S)
        print(index, flush=True)


if __name__ == "__main__":
    main()
