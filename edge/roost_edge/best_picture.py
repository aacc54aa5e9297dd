"""Which picture of a burst people see: pure, and one rule for alerts, feed and page.

Several pictures of one event are asked about. The first shows a tail at the rim; a later one shows the bird. Capture
says of each in its tag `worth` how much it shows. Of the results that are as sure as each other, to a tenth, the one
that shows most is the best; being surer by more comes first. Without the tag the score alone decides.

Only pictures that were asked about are chosen from: those have a label, and the privacy guard has seen them.
"""

from collections.abc import Mapping
from math import isfinite
from typing import TypeAlias

TAG = "worth"
Rank: TypeAlias = tuple[float, float, float]


def rank(score: float, worth: float) -> Rank:
    """Larger is better."""
    return round(score, 1), worth, score


def worth_of(tags: Mapping[str, str]) -> float:
    """What a request's tag says its picture shows; 0 where it says nothing that can be read."""
    try:
        worth = float(tags.get(TAG, "0"))
    except ValueError:
        return 0.0
    return worth if isfinite(worth) and worth > 0 else 0.0
