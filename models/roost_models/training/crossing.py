"""Every day left out in turn: what a model trained like this is worth on a day that it never saw.

For small sets, where one frozen test split of a few pictures says little. Each turn is a whole training with its own
bundle, and is measured through that bundle; the bundles are thrown away, the answers are pooled.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from roost_broker.errors import Misuse
from roost_models.training.exporting import Exported
from roost_models.training.figures import Figures, Judged, figures
from roost_models.training.pictures import TrainingSet
from roost_models.training.progress import Progress


def leave_days_out(
    pictures: TrainingSet, train: Callable[[TrainingSet, Path], Exported], progress: Progress
) -> Figures:
    """Figures pooled over all days; `train` trains on what it is given and writes its bundle to the folder.

    The version's own split plays no part: every picture is tested once. Raises `Misuse` with fewer than two days.
    """
    days = sorted({item.day for item in pictures.dataset.items})
    if len(days) < 2 or "" in days:
        raise Misuse(
            "Leaving a day out needs pictures of two days or more, each with its day.",
            "Import them with their times: roost label import --time-column.",
        )
    judged: list[Judged] = []
    runtime = ""
    with tempfile.TemporaryDirectory() as scratch:
        for number, day in enumerate(days, start=1):
            progress.note(f"Day {number} of {len(days)}, {day}, left out:")
            made = train(without_day(pictures, day), Path(scratch) / day)
            judged += made.measured.judged
            runtime = made.measured.runtime
    return figures(judged, pictures.labels, split="each day left out", runtime=runtime)


def without_day(pictures: TrainingSet, day: str) -> TrainingSet:
    """The same pictures: those of `day` to test on, all others to train on."""
    items = [replace(item, split="test" if item.day == day else "train") for item in pictures.dataset.items]
    return TrainingSet(replace(pictures.dataset, items=items), pictures.digest, pictures.read)
