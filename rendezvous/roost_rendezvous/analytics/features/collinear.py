"""Collinearity: which input variables say the same (requirement M11; the book, ch. 4).

Numbers, yes/no, and words (one column for each of a word's frequent values) are compared pairwise, on the rows that
have both: by r, which sees straight lines, and by the r of the ranks, which sees any rising or falling relation.
Beyond pairs, the share of each column that all the others together explain: a sum of three others is no pair of any.

Pure; numpy alone. Cost: columns² × rows.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.features.values import Inputs, evenly, is_number, names_of

_Array: TypeAlias = NDArray[np.float64]
_TINY = 1e-9
"""Ridge on the correlations: exact copies stay invertible, and R² below 1 − 1e-6 is not moved."""


class CollinearSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of one report."""

    least_r: float = 0.95
    """Pairs from here on are reported; explained shares from its square on."""
    rows: int = 20_000
    features: int = 200
    word_values: int = 8
    """Columns for so many of a word's values; a word with more than four times as many (an id) has none."""
    least_rows: int = 30
    """Pairs that occur together more rarely are not judged."""

    def __post_init__(self) -> None:
        if not 0 < self.least_r <= 1:
            raise Misuse(f"least_r is {self.least_r}.", "Use a value above 0, up to 1.")
        for name, low, high in (
            ("rows", 3, 1_000_000),
            ("features", 1, 2_000),
            ("word_values", 1, 100),
            ("least_rows", 3, 1_000_000),
        ):
            if not low <= getattr(self, name) <= high:
                raise Misuse(f"{name} is {getattr(self, name)}.", f"Use a value from {low} to {high}.")


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two columns that go together. A column of a word is named `state.door=open`."""

    one: str
    other: str
    r: float
    rank_r: float
    rows: int


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """A column that the others together say already, though no single one does."""

    column: str
    share: float
    """R² on all other columns."""


class CollinearReport(msgspec.Struct, frozen=True, kw_only=True):
    """What says the same, the closest first."""

    rows: int
    columns: int
    pairs: tuple[Pair, ...]
    explained: tuple[Explained, ...]
    constant: tuple[str, ...]
    """Variables with one value only: they cannot be judged, and cannot matter."""
    not_judged: tuple[str, ...]
    """Variables that are ids or texts: too many values to be columns."""

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Variables that hang together by pairs, each group once: what is to be left out together."""
        joined: list[set[str]] = []
        for pair in self.pairs:
            new = {variable(pair.one), variable(pair.other)}
            touching = [group for group in joined if group & new]
            joined = [group for group in joined if not group & new] + [new.union(*touching)]
        return tuple(sorted(tuple(sorted(group)) for group in joined if len(group) > 1))


def variable(column: str) -> str:
    """The variable that a column is from."""
    return column.split("=", 1)[0]


def collinearity(rows: Iterable[Inputs], settings: CollinearSettings | None = None) -> CollinearReport:
    """See the module. With fewer rows than `least_rows` there are no pairs, and nothing is claimed."""
    chosen = settings or CollinearSettings()
    kept = evenly(list(rows), chosen.rows)
    names, table, constant, skipped = _columns(kept, chosen)
    if table.shape[1] < 2:
        return CollinearReport(
            rows=len(kept), columns=len(names), pairs=(), explained=(), constant=constant, not_judged=skipped
        )
    r, together = _correlations(table)
    rank_r, _ = _correlations(_ranks(table))
    close = np.maximum(np.abs(r), np.abs(rank_r)) >= chosen.least_r - 1e-12
    pairs = [
        Pair(
            one=names[a],
            other=names[b],
            r=round(float(r[a, b]), 6),
            rank_r=round(float(rank_r[a, b]), 6),
            rows=int(together[a, b]),
        )
        for a, b in zip(*np.nonzero(np.triu(close, 1)), strict=True)
        if together[a, b] >= chosen.least_rows and variable(names[a]) != variable(names[b])
    ]
    in_pairs = {name for pair in pairs for name in (pair.one, pair.other)}
    return CollinearReport(
        rows=len(kept),
        columns=len(names),
        pairs=tuple(sorted(pairs, key=lambda pair: (-max(abs(pair.r), abs(pair.rank_r)), pair.one, pair.other))),
        explained=_explained(names, table, r, in_pairs, chosen),
        constant=constant,
        not_judged=skipped,
    )


def _columns(
    rows: Sequence[Inputs], settings: CollinearSettings
) -> tuple[list[str], _Array, tuple[str, ...], tuple[str, ...]]:
    """Names, table (rows × columns, NaN where there is no value), constants, and what is no column."""
    names: list[str] = []
    columns: list[_Array] = []
    constant: list[str] = []
    skipped: list[str] = []
    for name in names_of(rows, settings.features):
        values = [row.get(name) for row in rows]
        given = [value for value in values if value is not None]
        if len(set(map(_typed, given))) <= 1:
            constant.append(name)
            continue
        if sum(map(is_number, given)) * 2 > len(given):
            names.append(name)
            columns.append(np.array([float(value) if is_number(value) else np.nan for value in values]))  # type: ignore[arg-type]  # is_number
            continue
        counts = Counter(map(str, given))
        if len(counts) > 4 * settings.word_values:
            skipped.append(name)
            continue
        for word, _ in counts.most_common(
            settings.word_values if len(counts) > 2 else 1
        ):  # of two words one column says both
            names.append(f"{name}={word}")
            columns.append(np.array([np.nan if value is None else float(str(value) == word) for value in values]))
    table = np.stack(columns, axis=1) if columns else np.empty((len(rows), 0))
    return names, table, tuple(constant), tuple(skipped)


def _typed(value: object) -> tuple[bool, Any]:
    return isinstance(value, str), value


def _correlations(table: _Array) -> tuple[_Array, _Array]:
    """r of each pair of columns on the rows that have both, and how many those are; NaN-free (0: no relation)."""
    there = (~np.isnan(table)).astype(np.float64)
    counts = np.maximum(there.sum(axis=0), 1)
    middle = np.nansum(table, axis=0) / counts
    values = np.where(there > 0, table - middle, 0.0)
    spread = np.sqrt((values**2).sum(axis=0) / counts)
    values /= np.where(spread > 0, spread, 1.0)  # of one size, or the sums of squares below lose small columns
    both = there.T @ there
    least = np.maximum(both, 1)
    sums = values.T @ there
    covariance = values.T @ values / least - (sums / least) * (sums.T / least)
    variance = (values**2).T @ there / least - (sums / least) ** 2
    scale = np.sqrt(np.maximum(variance, 0) * np.maximum(variance.T, 0))
    return np.clip(np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > _TINY), -1, 1), both


def _ranks(table: _Array) -> _Array:
    """Each column's values by their rank, equal ones by the middle of theirs."""
    found = np.full_like(table, np.nan)
    for column in range(table.shape[1]):
        there = ~np.isnan(table[:, column])
        _, place, counts = np.unique(table[there, column], return_inverse=True, return_counts=True)
        last = np.cumsum(counts)
        found[there, column] = (last - (counts - 1) / 2)[place.reshape(-1)]
    return found


def _explained(
    names: Sequence[str], table: _Array, r: _Array, in_pairs: set[str], settings: CollinearSettings
) -> tuple[Explained, ...]:
    """Columns that all others explain, where no pair says it already; needs several rows for each column."""
    whole = int((~np.isnan(table).any(axis=1)).sum())
    if whole < max(settings.least_rows, 5 * len(names)):
        return ()
    known = ~np.isnan(table).any(axis=1)
    among, _ = _correlations(table[known]) if whole < len(table) else (r, None)
    # A word's columns add up to 1 by their making: of each word the last one is left out of the others.
    kept = [place for place in range(len(names)) if not _last_of_word(names, place)]
    among = among[np.ix_(kept, kept)].copy()
    np.fill_diagonal(among, 1 + _TINY)
    inverse = np.linalg.inv(among)
    shares = 1 - 1 / np.maximum(np.diag(inverse), 1.0)
    found = [
        Explained(column=names[place], share=round(float(share), 6))
        for place, share in zip(kept, shares, strict=True)
        if share >= settings.least_r**2 and names[place] not in in_pairs
    ]
    return tuple(sorted(found, key=lambda one: (-one.share, one.column)))


def _last_of_word(names: Sequence[str], place: int) -> bool:
    same = [other for other, name in enumerate(names) if variable(name) == variable(names[place])]
    return len(same) > 1 and place == same[-1]
