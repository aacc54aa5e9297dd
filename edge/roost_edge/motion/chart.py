"""What tuning found, as a picture: one panel for each parameter, in SVG that any browser shows. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from roost_edge.motion.tuning import GRID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roost_edge.motion.tuning import Trial, Tuned

_WIDE, _HIGH, _GAP = 300, 170, 64
_LEFT, _TOP = 52, 92
_COLOURS = {"precision": "#1b6ca8", "recall": "#b5541c", "event F1": "#2c2c2c"}
_STYLE = "font-family:system-ui,sans-serif;font-size:12px;fill:#2c2c2c"


def chart(tuned: Tuned, title: str) -> str:
    """Precision, recall and F1 by event over every parameter, latency in words; the ring marks the best value."""
    names = list(GRID)
    columns = 2
    rows = -(-len(names) // columns)
    width = _LEFT + columns * (_WIDE + _GAP)
    height = _TOP + rows * (_HIGH + _GAP + 8)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' style="{_STYLE}">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="26" style="font-size:16px;font-weight:600">{escape(title)}</text>',
        f'<text x="{_LEFT}" y="46">{escape(_summary("as it was", tuned.before))}</text>',
        f'<text x="{_LEFT}" y="63">{escape(_summary("best", tuned.best))}</text>',
        _legend(width - _GAP),
    ]
    for number, name in enumerate(names):
        x = _LEFT + (number % columns) * (_WIDE + _GAP)
        y = _TOP + (number // columns) * (_HIGH + _GAP + 8)
        parts.append(_panel(name, _last_round(tuned, name), getattr(tuned.best.settings, name), x, y))
    return "\n".join([*parts, "</svg>\n"])


def _summary(what: str, trial: Trial) -> str:
    one = trial.score
    latency = "–" if one.latency_ms is None else f"{one.latency_ms} ms"
    return (
        f"{what}: {one.events_found} found, {one.events_missed} missed, {one.events_false} false,"
        f" {one.fragments} told twice; frame F1 {_percent(one.frame_f1)}; seen after {latency}"
    )


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _last_round(tuned: Tuned, name: str) -> list[Trial]:
    """The newest trial of every value: the other parameters are then nearly those that were chosen."""
    newest = {trial.value: trial for trial in tuned.trials if trial.parameter == name}
    return [newest[value] for value in sorted(newest)]


def _legend(right: int) -> str:
    shown = []
    for place, (name, colour) in enumerate(_COLOURS.items()):
        x = right - 80 * (len(_COLOURS) - place)
        shown.append(
            f'<line x1="{x}" x2="{x + 16}" y1="76" y2="76" stroke="{colour}" stroke-width="2"/>'
            f'<text x="{x + 20}" y="80">{name}</text>'
        )
    return "".join(shown)


def _panel(name: str, trials: Sequence[Trial], best: float, x: int, y: int) -> str:
    parts = [f'<text x="{x}" y="{y + 2}" style="font-weight:600">{name}</text>']
    top = y + 16
    for share in (0, 0.5, 1):
        level = top + _HIGH * (1 - share)
        parts.append(f'<line x1="{x}" x2="{x + _WIDE}" y1="{level:.1f}" y2="{level:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{x - 6}" y="{level + 4:.1f}" text-anchor="end" fill="#777">{share * 100:.0f} %</text>')
    step = _WIDE / max(1, len(trials) - 1)
    for which, colour in _COLOURS.items():
        points = [
            (x + step * place, top + _HIGH * (1 - value))
            for place, trial in enumerate(trials)
            if (value := _value(trial, which)) is not None
        ]
        line = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        dash = ' stroke-dasharray="5 3"' if which == "event F1" else ""
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        parts += [f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="{colour}"/>' for px, py in points]
    for place, trial in enumerate(trials):
        px = x + step * place
        parts.append(f'<text x="{px:.1f}" y="{top + _HIGH + 16}" text-anchor="middle">{trial.value:g}</text>')
        late = "" if trial.score.latency_ms is None else f"{trial.score.latency_ms} ms"
        parts.append(f'<text x="{px:.1f}" y="{top + _HIGH + 31}" text-anchor="middle" fill="#777">{late}</text>')
        f1 = _value(trial, "event F1")
        if trial.value == best and f1 is not None:
            parts.append(
                f'<circle cx="{px:.1f}" cy="{top + _HIGH * (1 - f1):.1f}" r="8" fill="none" stroke="#2c2c2c"/>'
            )
    return "\n".join(parts)


def _value(trial: Trial, which: str) -> float | None:
    one = trial.score
    return {"precision": one.precision, "recall": one.recall, "event F1": one.event_f1}[which]
