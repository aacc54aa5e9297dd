"""How good an exported bundle is, measured through the bundle as it is served, in child processes.

A figure from training counts for nothing: 99 % there and 70 % held out was seen.
"""

from dataclasses import dataclass
from pathlib import Path

from roost_models.training.children import answers_of
from roost_models.training.figures import Figures, Judged, figures
from roost_models.training.pictures import TrainingSet
from roost_models.training.progress import Progress


@dataclass(frozen=True, slots=True)
class Measured:
    """Picture by picture, and on which runtime."""

    judged: list[Judged]
    runtime: str

    def figures(self, labels: list[str], split: str = "test") -> Figures | None:
        """Counted; None when there was nothing to measure on."""
        return figures(self.judged, labels, split=split, runtime=self.runtime) if self.judged else None


def measure(bundle: Path, pictures: TrainingSet, progress: Progress, *, workers: int) -> Measured:
    """Ask the bundle about the test split. Raises `Malformed` when it kills its child."""
    tested = pictures.tested
    if not tested:
        return Measured([], "")
    judged, runtime = [], ""
    answers = answers_of(pictures.bytes_of(tested), bundle, workers=workers)
    for item, answer in zip(tested, answers, strict=True):
        judged.append(Judged(pictures.number(item), pictures.labels.index(answer.scores[0][0]), item.site))
        runtime = answer.runtime
        progress.progress(len(judged), len(tested))
    return Measured(judged, runtime)
