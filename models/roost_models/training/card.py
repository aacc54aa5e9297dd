"""The model card: what a trained bundle is, how good it is, and where it must not be trusted. Pure; no date is in it,
so that equal training gives equal bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from roost_models.bundle.manifest import ImageContract, TrainedOn
from roost_models.training.figures import Figures, Share
from roost_models.training.lineage import DOES_NOT_TRANSFER

_FEW = 20


@dataclass(frozen=True, slots=True)
class Facts:
    """What the card tells. `counts` are pictures by split and label."""

    name: str
    version: str
    task: str
    method: str
    backbone: str
    licence: str
    contract: ImageContract
    trained_on: TrainedOn
    counts: dict[str, dict[str, int]]
    options: dict[str, Any]
    figures: Figures | None
    rendered: bool
    unplaced: int = 0
    """Test pictures of which neither site nor day is known."""
    remarks: Sequence[str] = ()


def card(facts: Facts) -> str:
    """As Markdown."""
    contract = facts.contract
    numbers = "uint8" if isinstance(contract.range, str) else f"{contract.range[0]:g} to {contract.range[1]:g}"
    labels = list(facts.counts["train"])
    parts = [
        f"# {facts.name} {facts.version}",
        f"A model for the task `{facts.task}`: {facts.method}. Backbone: {facts.backbone}.",
        "## Input and output",
        f"A picture of any size, brought to {contract.width}×{contract.height} (`{contract.resize}`, "
        f"`{contract.color}`, filter `{contract.method}`, range {numbers}). Output: a probability for each of "
        f"{', '.join(f'`{label}`' for label in labels)}.",
        "## Figures",
        *_figures(facts),
        "## Data",
        f"Dataset `{facts.trained_on.name}`, version {facts.trained_on.version}, digest `{facts.trained_on.digest}`.",
        _counts(facts.counts),
        "## Limits",
        "\n".join(f"* {limit}" for limit in _limits(facts)),
        "## Training",
        "\n".join(f"* {key}: {_said(value)}" for key, value in facts.options.items()),
        f"Licence: {facts.licence}" + (" (the backbone's, carried over)." if facts.backbone != "none" else "."),
    ]
    return "\n\n".join(parts) + "\n"


def _figures(facts: Facts) -> list[str]:
    found = facts.figures
    if found is None:
        return [
            "**Not measured**: the dataset's version has no test split. Nothing is known of how good this model is."
        ]
    lines = [
        f"Measured through this bundle, as it is served, on the {found.right.shown} pictures of the {found.split} "
        f"split, which training never saw. **{_text(found.right)}** are right. "
        f"In brackets: where the truth lies with 95 % (Wilson). Runtime: {found.runtime}.",
        _table(
            ("label", "shown", "found (recall)", "right when said (precision)"),
            [(row.label, str(row.found.shown), _text(row.found), _text(row.right_when_said)) for row in found.by_label],
        ),
        _table(
            ("site", "shown", "right"),
            [(row.site or "(not known)", str(row.right.shown), _text(row.right)) for row in found.by_site],
        ),
        "What was answered (columns) for what was shown (rows):",
        _table(
            ("", *found.labels),
            [(label, *map(str, row)) for label, row in zip(found.labels, found.confusion, strict=True)],
        ),
    ]
    return [*lines, DOES_NOT_TRANSFER] if facts.rendered else lines


def _limits(facts: Facts) -> list[str]:
    train, validation = facts.counts["train"], facts.counts["validation"]
    unseen = [label for label in train if train[label] + validation[label] == 0]
    few = [label for label in train if 0 < train[label] + validation[label] < _FEW]
    limits = [f"It never answers `{label}`: no picture of it was in training." for label in unseen]
    limits += [f"`{label}`: only {train[label] + validation[label]} pictures in training." for label in few]
    if facts.figures is not None:
        limits += [
            f"`{row.label}` was not among the test pictures: nothing is known of how well it is found."
            for row in facts.figures.by_label
            if row.found.shown == 0
        ]
    if facts.unplaced:
        limits.append(
            f"Of {facts.unplaced} test pictures neither site nor day is known: nearly the same ones may have been in "
            "training, and then the figures are too kind."
        )
    limits.append("It answers one of its labels whatever it is shown; a picture of something else gets one too.")
    limits.extend(facts.remarks)
    return limits


def _counts(counts: dict[str, dict[str, int]]) -> str:
    rows = [(label, *(str(counts[split][label]) for split in counts)) for label in counts["train"]]
    return _table(("label", *counts), [*rows, ("**all**", *(str(sum(counts[split].values())) for split in counts))])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {one}" for key, one in value.items()) or "none"
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _text(share: Share) -> str:
    if share.shown == 0:
        return "–"
    return (
        f"{share.right} of {share.shown} = {100 * share.share:.1f} % ({100 * share.low:.0f}–{100 * share.high:.0f} %)"
    )
