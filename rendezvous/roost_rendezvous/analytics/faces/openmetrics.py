"""Metric families as text: OpenMetrics 1.0, and Prometheus' older text form 0.0.4. Pure.

Neither text form can carry a native histogram (OpenMetrics 2.0, where it can, is not published yet), so histograms are
classic here: cumulative counts at every half doubling, from 0.5 ms to 64 s. A scraper that asks for the protobuf form
gets native ones too (`protobuf`).
"""

import math
from collections.abc import Iterator, Sequence

from roost_rendezvous.analytics.faces.exponential import Exponential, border
from roost_rendezvous.analytics.faces.metrics import Family, Labels

TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
OLD_TYPE = "text/plain; version=0.0.4; charset=utf-8"
CLASSIC = tuple(range(-11 * 16, 6 * 16 + 1, 8))
"""Indices of the bins after which a classic bucket ends."""


def render(families: Sequence[Family], *, old: bool = False) -> str:
    """The whole exposition. `old`: the form 0.0.4, which every reader of Prometheus' text can read."""
    lines = [line for family in families for line in _family(family, old)]
    if not old:
        lines.append("# EOF")
    return "\n".join(lines) + "\n"


def _family(family: Family, old: bool) -> Iterator[str]:
    name, kind = family.name, family.kind
    if old:
        name += {"counter": "_total", "info": "_info"}.get(kind, "")
        kind = "gauge" if kind == "info" else kind
    yield f"# TYPE {name} {kind}"
    if family.unit and not old:
        yield f"# UNIT {name} {family.unit}"
    yield f"# HELP {name} {_help(family.help, old)}"
    for values, found in family.samples:
        labels = list(zip(family.labels, values, strict=True))
        if isinstance(found, Exponential):
            yield from _histogram(family.name, labels, found)
        else:
            suffix = {"counter": "_total", "info": "_info"}.get(family.kind, "")
            yield f"{family.name}{suffix}{_labels(labels)} {number(found)}"


def _histogram(name: str, labels: list[tuple[str, str]], found: Exponential) -> Iterator[str]:
    for index, count in classic(found):
        bound = number(border(index)) if index is not None else "+Inf"
        yield f"{name}_bucket{_labels([*labels, ('le', bound)])} {count}"
    yield f"{name}_count{_labels(labels)} {found.count}"
    yield f"{name}_sum{_labels(labels)} {number(found.sum)}"


def classic(found: Exponential) -> Iterator[tuple[int | None, int]]:
    """Cumulative counts at the classic borders; None is the last, without a border."""
    ordered = sorted(found.bins.items())
    so_far = at = 0
    for index in CLASSIC:
        while at < len(ordered) and ordered[at][0] <= index:
            so_far += ordered[at][1]
            at += 1
        yield index, so_far
    yield None, found.count


def number(value: float) -> str:
    """As the forms write numbers; every digit that counts."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(int(value)) + ".0" if value == int(value) and abs(value) < 1e15 else repr(value)


def _labels(pairs: Sequence[tuple[str, str]]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs) + "}" if pairs else ""


def _escaped(text: str) -> str:
    # What is no character of its own in UTF-8 (half a surrogate) could not be sent at all.
    clean = text.encode("utf-8", "replace").decode("utf-8")
    return clean.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _help(text: str, old: bool) -> str:
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n")
    return escaped if old else escaped.replace('"', '\\"')


__all__ = ["CLASSIC", "OLD_TYPE", "TYPE", "Labels", "classic", "number", "render"]
