"""Rows of input variables: flat names, plain values, a bound on both. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from roost_rendezvous.analytics.rows import Row

Value: TypeAlias = float | str | bool | None
"""What an input variable may be; None is a value, an absent name is something else."""

Inputs: TypeAlias = Mapping[str, Value]
"""The input variables of one request by name, such as `state.door` or `values.temperature`."""


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Value]:
    """Nested values joined with a dot; lists count their places. Anything else becomes its text."""
    found: dict[str, Value] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= flat(value, f"{name}.")
        elif isinstance(value, (list, tuple)):
            found |= flat({str(place): one for place, one in enumerate(value)}, f"{name}.")
        elif value is None or isinstance(value, (bool, int, float, str)):
            found[name] = value
        else:
            found[name] = str(value)
    return found


def of_row(row: Row) -> dict[str, Value]:
    """Input figures, external state and tags of a settled request, each with where it is from."""
    return {
        **{f"input.{name}": value for name, value in row.input.items()},
        **{f"state.{name}": value for name, value in row.state.items()},
        **{f"tags.{name}": value for name, value in row.tags.items()},
    }


def names_of(rows: Iterable[Inputs], most: int) -> tuple[str, ...]:
    """The names that occur, by how often, then by name; at most `most`."""
    counts: dict[str, int] = {}
    for row in rows:
        for name in row:
            counts[name] = counts.get(name, 0) + 1
    ordered = sorted(counts, key=lambda name: (-counts[name], name))
    return tuple(sorted(ordered[:most]))


def evenly(rows: Sequence[Inputs], most: int) -> Sequence[Inputs]:
    """At most `most` of them, spread over the whole, so that neither the newest nor the oldest alone decide."""
    if len(rows) <= most:
        return rows
    return [rows[place * len(rows) // most] for place in range(most)]


def is_number(value: object) -> bool:
    """Whether it can be reckoned with: numbers that are finite, and yes or no."""
    return isinstance(value, (int, float)) and value == value and abs(value) != float("inf")
