"""How far two answers to one request are apart. Pure.

A model's score travels with its best outputs only (`output.top`). A label that is missing there scored no more than
the last that travelled, if the model knows it at all, and nothing if it does not.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from roost_broker.messages import Output
from roost_rendezvous.analytics.comparison import agreement


@dataclass(frozen=True, slots=True)
class Apart:
    """`almost` is what the risk bound counts: the same best label, no label's scores further apart than tolerated."""

    identical: bool
    same_label: bool
    almost: bool
    difference: float
    """Of the label whose scores are furthest apart; 0 is the same."""


def compare(
    one: Sequence[Output],
    other: Sequence[Output],
    tolerance: float,
    *,
    labels_one: Collection[str] = (),
    labels_other: Collection[str] = (),
) -> Apart:
    """Compare outputs, best first; `labels_…` are all that each model knows."""
    difference = furthest(one, other, labels_one, labels_other)
    same_label = _best(one) == _best(other)
    return Apart(
        identical=list(one) == list(other),
        same_label=same_label,
        almost=same_label and difference <= tolerance,
        difference=difference,
    )


def furthest(
    one: Sequence[Output], other: Sequence[Output], labels_one: Collection[str], labels_other: Collection[str]
) -> float:
    """Largest difference of any label's scores."""
    first = {output.label: output.score for output in one}
    second = {output.label: output.score for output in other}
    return agreement.furthest(first, second, labels_one, labels_other)


def _best(outputs: Sequence[Output]) -> str | None:
    return outputs[0].label if outputs else None
