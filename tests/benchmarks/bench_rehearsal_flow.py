"""The rehearsal's flow: requests, words and results as the watch hears them, from what real models said of pictures."""

import random
from collections.abc import Iterator, Sequence

from bench_rehearsal_pool import Shot

from roost_henhouse.relabelled import RIGHT, WRONG
from roost_henhouse.truth import LABELS
from roost_rendezvous.analytics.watch.observed import Asked, Decided, Observed, Plain, Said, Told

SECOND = 1_000_000_000
BEGIN = 1_800_057_600 * SECOND
TASK = "henhouse"
_OFTEN = 3
"""So many times as often as each other label comes the breed in question: it lives here."""


class Flow:
    """One camera, the champion, the canary. `pool`, `model` and `version` may be changed while it goes on."""

    def __init__(self, pool: Sequence[Shot], breed: str, seed: int, every: int) -> None:
        self.pool = pool
        self._weights = [_OFTEN if label == breed else 1 for label in LABELS]
        self.model, self.version = "wrong", WRONG
        self.now = BEGIN
        self._every = every
        self._chance = random.Random(seed)
        self._number = 0
        self._run = seed

    def correct(self) -> None:
        """The corrected model takes the other one's place, under the same name."""
        self.model, self.version = "right", RIGHT

    def request(self) -> tuple[Shot, list[Observed]]:
        """The next picture with all that follows."""
        self.now += round(self._every * self._chance.uniform(0.5, 1.5))
        self._number += 1
        wanted = self._chance.choices(LABELS, self._weights)[0]
        shot = self._chance.choice([shot for shot in self.pool if shot.shows == wanted])
        return shot, list(self._heard(shot))

    def _heard(self, shot: Shot) -> Iterator[Observed]:
        number, at, chance = f"{self._run:08x}{self._number:024x}", self.now, self._chance
        tags = {"camera": "nest"}
        frame: dict[str, Plain] = {"frame.bytes": float(shot.bytes), "frame.width": float(shot.width)}
        frame["frame.height"] = float(shot.height)
        frame |= {f"picture.{name}": value for name, value in shot.figures.items()}
        yield Asked(at, f"{number}a", TASK, number, at, "", 0, 2_000, 1, tags, frame, {})
        told, answer = [], ("", "", 0.0)
        for name, model, version in (("champion", self.model, self.version), ("canary", "canary", "1.0.0")):
            scores = shot.scores[model]
            took = chance.lognormvariate(3.0, 0.15)
            heard = at + round(took * 1e6)
            yield Said(heard, f"{number}{name}", TASK, number, heard, name, version, scores, took, 1, "", "")
            told.append(Told(name, version, "answered", took, "", name == "canary"))
            if name == "champion":
                label = max(scores, key=scores.__getitem__)
                answer = (name, label, scores[label])
        done = at + 150_000_000
        yield Decided(
            *(done, f"{number}r", TASK, number, done, *answer, "preferred", 150.0, 2_000, False, "", None, "1"),
            tuple(told),
            tags,
        )
