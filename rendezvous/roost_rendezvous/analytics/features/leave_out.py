"""Leave-one-out: what a model's answers lose when one of its input variables says nothing (requirement M11).

Each variable is neutralised in two ways over archived rows, all else left as it was:

* *typical*: everybody gets the value that is most usual (the middle of the numbers, the most frequent word);
* *exchanged*: the rows swap their values among each other, so that what is put in is as diverse as it was. This finds
  a variable that matters only together with another one, which a fixed value can hide.

The delta of a row is the largest change of any label's score. A variable whose delta is not above the model's own
noise (the same rows asked twice; 0 for a pure model) in any row and either way is dead: it can be dropped, with all
that produces it (the book, ch. 4). One that never varies cannot be tried and is said to be so, not called dead.

Two variables that say the same hide each other, because the model leans on whichever is left. So groups, as the
collinearity report finds them, are left out together as well.

Pure but for the model, which is any function over rows; it is called with at most `batch` rows.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec
import numpy as np

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.features.values import Inputs, Value, evenly, is_number, names_of

Model: TypeAlias = Callable[[Sequence[Inputs]], Sequence[Mapping[str, float]]]
"""Rows of input variables to rows of scores by label. A row it cannot answer gives an empty mapping."""

Progress: TypeAlias = Callable[[int, int], None]
Verdict: TypeAlias = Literal["used", "dead", "never varies"]


class LeaveOutSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of one run. Evaluations: rows × (2 + features × (1 + rounds))."""

    rows: int = 1_000
    """More are thinned evenly."""
    features: int = 200
    rounds: int = 2
    """How often the rows exchange their values."""
    batch: int = 64
    seed: int = 1

    def __post_init__(self) -> None:
        for name, low, high in (("rows", 2, 1_000_000), ("features", 1, 10_000), ("rounds", 1, 100)):
            _within(name, getattr(self, name), low, high)
        _within("batch", self.batch, 1, 100_000)


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What one variable (or one group of them) does for the answers."""

    of: tuple[str, ...]
    """One name, or the names that were left out together."""
    verdict: Verdict
    mean_delta: float
    """Of the way that moved more, over the rows it altered; scores' own unit."""
    max_delta: float
    typical_delta: float
    """Mean delta with the typical value."""
    exchanged_delta: float
    """Mean delta with exchanged values."""
    relabelled: float
    """Share of the altered rows whose first label changed, of the way that moved more."""
    altered: int
    """Rows that really had another value, over both ways: what the verdict rests on."""
    present: float
    """Share of the rows that have it (a group: the rarest)."""
    distinct: int
    """How many different values it has (a group: the fewest)."""
    typical: tuple[Value, ...]

    @property
    def name(self) -> str:
        """For people."""
        return " + ".join(self.of)


class LeaveOutReport(msgspec.Struct, frozen=True, kw_only=True):
    """All variables, the strongest first."""

    rows: int
    offered: int
    """Rows that there were before thinning."""
    evaluations: int
    noise: float
    """Largest delta of the same rows asked twice: below it nothing is claimed."""
    effects: tuple[Effect, ...]
    groups: tuple[Effect, ...] = ()
    dropped_features: int = 0
    """Variables beyond the bound, not looked at."""

    @property
    def dead(self) -> tuple[str, ...]:
        """Names that no answer depended on."""
        return tuple(effect.name for effect in self.effects if effect.verdict == "dead")


def leave_one_out(
    model: Model,
    rows: Iterable[Inputs],
    settings: LeaveOutSettings | None = None,
    *,
    groups: Sequence[tuple[str, ...]] = (),
    progress: Progress | None = None,
) -> LeaveOutReport:
    """Ask the model with every variable left out in turn. Raises `Misuse` for fewer than 2 rows or a wrong model."""
    chosen = settings or LeaveOutSettings()
    offered = list(rows)
    if len(offered) < 2:
        raise Misuse(f"Leave-one-out needs rows to compare, and there are {len(offered)}.", "Archive some requests.")
    kept = evenly(offered, chosen.rows)
    every = names_of(kept, len({name for row in kept for name in row}) or 1)
    names = names_of(kept, chosen.features)
    run = _Run(model, kept, chosen)
    total, effects, together = len(names) + len(groups), [], []
    for done, name in enumerate(names, 1):
        effects.append(run.effect((name,)))
        if progress is not None:
            progress(done, total)
    for done, group in enumerate(groups, len(names) + 1):
        together.append(run.effect(group))
        if progress is not None:
            progress(done, total)
    return LeaveOutReport(
        rows=len(kept),
        offered=len(offered),
        evaluations=run.evaluations,
        noise=run.noise,
        effects=_ordered(effects),
        groups=_ordered(together),
        dropped_features=len(every) - len(names),
    )


class _Run:
    def __init__(self, model: Model, rows: Sequence[Inputs], settings: LeaveOutSettings) -> None:
        self._model, self._rows, self._settings = model, rows, settings
        self.evaluations = 0
        self._scores = self._ask(rows)
        again = self._ask(rows)
        self.noise = max(map(_delta, self._scores, again), default=0.0)

    def _ask(self, rows: Sequence[Inputs]) -> list[Mapping[str, float]]:
        found: list[Mapping[str, float]] = []
        for first in range(0, len(rows), self._settings.batch):
            some = rows[first : first + self._settings.batch]
            said = self._model(some)
            if len(said) != len(some):
                raise Misuse(f"The model gave {len(said)} answers to {len(some)} rows.", "One mapping for each row.")
            found += said
        self.evaluations += len(rows)
        return found

    def effect(self, names: tuple[str, ...]) -> Effect:
        """Leave these out, together."""
        typical = {name: _typical(self._rows, name) for name in names}
        usual = [{**row, **{name: typical[name] for name in names if name in row}} for row in self._rows]
        ways = [self._deltas(usual)]
        for number in range(self._settings.rounds):
            ways.append(self._deltas(self._exchanged(names, number)))
        exchanged = [one for way in ways[1:] for one in way]
        strongest = max((ways[0], exchanged), key=_mean)
        altered = len(ways[0]) + len(exchanged)
        deltas = [delta for delta, _ in strongest]
        largest = max((delta for delta, _ in (*ways[0], *exchanged)), default=0.0)
        values = [Counter(_key(row.get(name)) for row in self._rows if name in row) for name in names]
        return Effect(
            of=names,
            verdict="never varies" if altered == 0 else "dead" if largest <= self.noise else "used",
            mean_delta=sum(deltas) / len(deltas) if deltas else 0.0,
            max_delta=largest,
            typical_delta=_mean(ways[0]),
            exchanged_delta=_mean(exchanged),
            relabelled=sum(other for _, other in strongest) / len(strongest) if strongest else 0.0,
            altered=altered,
            present=min(counts.total() for counts in values) / len(self._rows),
            distinct=min(map(len, values)),
            typical=tuple(typical[name] for name in names),
        )

    def _exchanged(self, names: tuple[str, ...], number: int) -> list[dict[str, Value]]:
        """Each row has the values of another one; absence is exchanged like a value. A group keeps together."""
        seed = [self._settings.seed, number, *"/".join(names).encode()]
        order = np.random.default_rng(seed).permutation(len(self._rows)).tolist()
        found = []
        for row, place in zip(self._rows, order, strict=True):
            new, donor = dict(row), self._rows[place]
            for name in names:
                new.pop(name, None)
                if name in donor:
                    new[name] = donor[name]
            found.append(new)
        return found

    def _deltas(self, rows: Sequence[Inputs]) -> list[tuple[float, bool]]:
        """Delta, and whether the first label changed, for each row that is not what it was."""
        places = [place for place, row in enumerate(rows) if not _same(row, self._rows[place])]
        said = self._ask([rows[place] for place in places])
        return [
            (_delta(self._scores[place], scores), _top(self._scores[place]) != _top(scores))
            for place, scores in zip(places, said, strict=True)
        ]


def _delta(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Largest change of any label; a label that is missing on one side counts as 0."""
    return max((abs(one.get(label, 0.0) - other.get(label, 0.0)) for label in {*one, *other}), default=0.0)


def _top(scores: Mapping[str, float]) -> str:
    return max(scores, key=scores.__getitem__, default="")


def _mean(way: Sequence[tuple[float, bool]]) -> float:
    return sum(delta for delta, _ in way) / len(way) if way else 0.0


def _typical(rows: Sequence[Inputs], name: str) -> Value:
    """The middle of the numbers, as one that occurred; of anything else the most frequent."""
    values = [row[name] for row in rows if name in row]
    numbers = sorted(value for value in values if is_number(value) and not isinstance(value, bool))  # type: ignore[type-var]  # is_number: comparable
    if len(numbers) * 2 > len(values):
        return numbers[len(numbers) // 2]
    return Counter(values).most_common(1)[0][0] if values else None


def _key(value: Value) -> tuple[str, Value]:
    """True and 1 are two values."""
    return type(value).__name__, value


def _same(one: Inputs, other: Inputs) -> bool:
    return one.keys() == other.keys() and all(_key(one[name]) == _key(other[name]) for name in one)


def _ordered(effects: Iterable[Effect]) -> tuple[Effect, ...]:
    return tuple(sorted(effects, key=lambda effect: (-effect.mean_delta, effect.of)))


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise Misuse(f"{name} is {value}.", f"Use a value from {low} to {high}.")
