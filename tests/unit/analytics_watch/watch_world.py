"""A henhouse as the watch hears it: requests, words and results on a virtual clock, seeded."""

import random
from collections.abc import Iterator

from roost_rendezvous.analytics.alarms.settings import AnalyticsAlarmSettings
from roost_rendezvous.analytics.watch.observed import Asked, Decided, Observed, Said, Told
from roost_rendezvous.analytics.watch.settings import AnalyticsSettings

SECOND = 1_000_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
BEGIN = 1_800_000_000 * SECOND - 1_800_000_000 % 86_400 * SECOND
LABELS = ("hen", "jay", "empty_nest")
QUICK = AnalyticsSettings(
    look_s=600,
    alarms=AnalyticsAlarmSettings(
        least_history_days=2.0, least_readings=100, least_calibration_hours=24.0, least_events_per_hour=0.0
    ),
)
"""Learns in days what takes weeks: for tests of what follows, not of how long it takes."""


class House:
    """`answers` may be replaced while the story goes on: model to a function of (label seen, random)."""

    def __init__(self, seed: int = 1, *, every: int = 600 * SECOND, task: str = "henhouse") -> None:
        self.random = random.Random(seed)
        self.now = BEGIN
        self.every = every
        self.task = task
        self.number = 0
        self.versions = {"champion": "1", "fast": "1", "canary": "1"}
        self.relabelled: set[str] = set()
        """Models that say `jay` where they said `hen`, as the breed in the book's figure 7-2."""
        self.bytes = 48_000.0
        self.brightness = 110.0
        self.sharpness = 8.0
        self.slow = 1.0

    def until(self, moment: int) -> Iterator[Observed]:
        """All that is heard up to a moment."""
        while self.now < moment:
            self.now += round(self.every * self.random.uniform(0.5, 1.5))
            yield from self.request()

    def request(self) -> Iterator[Observed]:
        """One request with all that follows."""
        self.number += 1
        number, at, chance = f"{self.number:032x}", self.now, self.random
        seen = chance.choices(LABELS, (4, 1, 5))[0]
        tags = {"camera": "nest"}
        frame = {
            "frame.bytes": chance.gauss(self.bytes, 2_000),
            "picture.brightness": chance.gauss(self.brightness, 5),
            "picture.sharpness": chance.gauss(self.sharpness, 0.5),
        }
        door = chance.choice(("open", "shut"))
        yield Asked(at, f"{number}a", self.task, number, at, "", 0, 2_000, 1, tags, frame, {"door": door})
        told: list[Told] = []
        answer = ("", "", 0.0)
        for place, model in enumerate(self.versions):
            scores = self.scores(model, seen)
            took = chance.lognormvariate(3.0 + place * 0.3, 0.15) * (self.slow if model == "champion" else 1.0)
            heard = at + round(took * 1e6)
            version = self.versions[model]
            yield Said(heard, f"{number}{model}", self.task, number, heard, model, version, scores, took, 1, "", "")
            top = max(scores, key=scores.__getitem__)
            told.append(Told(model, version, "answered", took, "", model == "canary"))
            if place == 0:
                answer = (model, top, scores[top])
        heard = at + 150_000_000
        yield Decided(
            *(heard, f"{number}r", self.task, number, heard, *answer, "preferred", 150.0, 2_000, False, "", None, "1"),
            tuple(told),
            tags,
        )

    def scores(self, model: str, seen: str) -> dict[str, float]:
        """Softly right."""
        if model in self.relabelled and seen == "hen":
            seen = "jay"
        chance = self.random.betavariate
        raw = {label: chance(9, 2) if label == seen else chance(1, 9) for label in LABELS}
        return {label: value / sum(raw.values()) for label, value in raw.items()}
