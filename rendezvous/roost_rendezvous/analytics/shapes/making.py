"""Which watch belongs to which key, made empty: for a stream seen the first time, and after a restart. Pure.

| key | watches |
|---|---|
| `score`, model, label | the distribution of one identification's score: bins of 0.1 and automatic cuts (S1, S2) |
| `best`, model | how often each label is the best one |
| `shape`, model | how the scores go together (S4) |
| `tail`, model | the tails of the best score, period by period (S3, K2) |
| `took`, model, step | how long a step takes (M10); the model is empty for the official answer |
| `agree`, model, canary | whether both say the same (K6) |
| `there`, source, field | whether a field of the input or of the state is there (M8) |
| `number`, source, field · `word`, source, field | what is in it (S5, C4) |

A source is `input`, `state`, or `camera:<name>` for what a request says of a camera's picture.
"""

from collections.abc import Callable
from typing import Any

from roost_rendezvous.analytics.reading import Signal, Subject
from roost_rendezvous.analytics.shapes.agreement import AgreementWatch
from roost_rendezvous.analytics.shapes.categories import CategoryWatch
from roost_rendezvous.analytics.shapes.clusters import ClusterWatch
from roost_rendezvous.analytics.shapes.latency import latency_watch
from roost_rendezvous.analytics.shapes.numbers import NumberWatch
from roost_rendezvous.analytics.shapes.settings import ShapeSettings
from roost_rendezvous.analytics.shapes.tails import TailSettings, TailWatch

TENTHS = tuple(step / 10 for step in range(1, 10))
PRESENCE = ("there", "missing")
CAMERA = "camera:"

Key = tuple[str, ...]


class Maker:
    """Makes watches of one task. `is_canary` says whether a model is one, by its name."""

    def __init__(self, task: str, settings: ShapeSettings, is_canary: Callable[[str], bool]) -> None:
        self._task = task
        self._settings = settings
        self._is_canary = is_canary

    def signal(self, key: Key) -> Signal:
        """Whose and what. It changes with the roster alone: a model that becomes the canary."""
        family, of = key[0], key[1]
        part = key[2] if len(key) > 2 else ""
        task = self._task
        about: Subject = "canary" if self._is_canary(of) else "model"
        match family:
            case "score" | "best" | "tail":
                named = part or {"best": "best label", "tail": "tails"}[family]
                return Signal(task=task, kind="score", subject=about, of=of, part=named)
            case "shape":
                return Signal(task=task, kind="shape", subject=about, of=of, part="clusters")
            case "took":
                who: Subject = about if of else "task"
                return Signal(task=task, kind="latency", subject=who, of=of, part=part, side="operational")
            case "agree":
                return Signal(task=task, kind="agreement", subject="model", of=of, part=part)
            case "there" | "number" | "word":
                kind = "missing" if family == "there" else "input"
                if of.startswith(CAMERA):
                    camera = of.removeprefix(CAMERA)
                    return Signal(task=task, kind=kind, subject="camera", of=camera, part=part)  # type: ignore[arg-type]  # one of the literals
                where: Subject = "state" if of == "state" else "input"
                return Signal(task=task, kind=kind, subject=where, of=part)  # type: ignore[arg-type]  # as above
        raise ValueError(f"nothing is watched under {family!r}")

    def make(self, key: Key) -> Any:
        """An empty watch."""
        family, of = key[0], key[1]
        part = key[2] if len(key) > 2 else ""
        signal, least, memory = self.signal(key), self._settings.least, self._settings.memory
        field = f"the {'state' if of == 'state' else 'input'} {part}"
        if of.startswith(CAMERA):
            field = f"{part} of {of.removeprefix(CAMERA)}'s picture"
        match family:
            case "score":
                return NumberWatch(signal, f"{of}'s score for {part}", bins=TENTHS, least=least, memory=memory)
            case "best":
                return CategoryWatch(signal, f"{of}'s best label", least=least, memory=memory)
            case "shape":
                return ClusterWatch(signal, f"{of}'s scores", (), least=self._settings.least_vectors, memory=memory)
            case "tail":
                return TailWatch(signal, f"{of}'s best score", TailSettings(least_values=self._settings.period_least))
            case "took":
                return latency_watch(signal, f"{of}'s {part}" if of else f"the {part}", least=least, memory=memory)
            case "agree":
                return AgreementWatch(signal, f"{of} agreed with {part}", least=least, memory=memory)
            case "there":
                # The signal is called `missing`, so what it tells is how much is.
                return CategoryWatch(signal, field, words=PRESENCE, told="missing", least=least, memory=memory)
            case "number":
                return NumberWatch(signal, field, least=least, memory=memory)
            case _:
                return CategoryWatch(signal, field, least=least, memory=memory)
