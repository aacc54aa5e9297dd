"""The graph of streams as Graphviz DOT and as an SVG that needs no tool. Pure: text out.

Left who speaks, in the middle the streams, right who listens; a line for each right. Onlookers, who may hear
everything, are left out: they would be a line to every stream and say nothing.
"""

from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape, quoteattr

from roost_rendezvous.analytics.features.streams import Stream, StreamReport

_ROW, _TOP, _LEFT, _WIDE, _GAP = 22, 64, 16, 250, 190
_MIDDLE = 340
_COLOURS = ("#0b6e4f", "#b3541e", "#3c5a99", "#8a2b52", "#6b6b00", "#00707a", "#7a4a00", "#5b3fa0")


def dot(report: StreamReport, task: str = "") -> str:
    """For `dot -Tsvg`. Boxes are roles, ellipses streams; `task` draws that task's streams alone."""
    lines = [
        f"digraph {_quoted(report.node)} {{",
        "  rankdir=LR;",
        '  node [fontname="sans-serif", fontsize=10];',
        '  edge [color="#888888"];',
    ]
    chosen = _chosen(report.streams, task)
    for user in sorted({user for stream in chosen for user in (*stream.producers, *stream.consumers)}):
        lines.append(f"  {_quoted('role ' + user)} [label={_quoted(user)}, shape=box];")
    for stream in chosen:
        lines.append(f"  {_quoted(stream.topic)} [shape=ellipse, tooltip={_quoted(stream.sentence)}];")
        lines += [f"  {_quoted('role ' + user)} -> {_quoted(stream.topic)};" for user in stream.producers]
        lines += [f"  {_quoted(stream.topic)} -> {_quoted('role ' + user)};" for user in stream.consumers]
    return "\n".join([*lines, "}", ""])


def svg(report: StreamReport, task: str = "") -> str:
    """A picture of its own: no script, no font, no other file. Point at a role to see its lines alone."""
    chosen = _chosen(report.streams, task)
    speakers = _in_middle_order(chosen, "producers")
    listeners = _in_middle_order(chosen, "consumers")
    rows = max(len(chosen), len(speakers), len(listeners), 1)
    height = _TOP + rows * _ROW + 24
    x_stream = _LEFT + _WIDE + _GAP
    x_right = x_stream + _MIDDLE + _GAP
    width = x_right + _WIDE + _LEFT
    y_stream = {stream.topic: _place(number, len(chosen), rows) for number, stream in enumerate(chosen)}
    y_left = {user: _place(number, len(speakers), rows) for number, user in enumerate(speakers)}
    y_right = {user: _place(number, len(listeners), rows) for number, user in enumerate(listeners)}
    colour = {user: _COLOURS[n % len(_COLOURS)] for n, user in enumerate(sorted({*speakers, *listeners}))}
    title = f"Streams of {report.node}" + (f", task {task}" if task else "")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label={quoteattr(title)} font-family="sans-serif" font-size="12">',
        "<style>g.u:hover path{stroke-width:2.5;opacity:1}g.u:hover text{font-weight:bold}"
        "path{fill:none;stroke-width:1.2;opacity:.55}</style>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="24" font-size="16" fill="#222222">{escape(title)}</text>',
        f'<text x="{width - _LEFT}" y="24" fill="#666666" text-anchor="end">red: no role and no program speaks here, '
        "at most a person</text>",
        *(
            f'<text x="{x}" y="46" fill="#666666" text-anchor="{anchor}">{word}</text>'
            for x, anchor, word in (
                (_LEFT + _WIDE, "end", "speaks"),
                (x_stream + _MIDDLE / 2, "middle", "stream"),
                (x_right, "start", "listens"),
            )
        ),
    ]
    for user, y in y_left.items():
        curves = [
            _curve(_LEFT + _WIDE + 6, y, x_stream, y_stream[stream.topic], colour[user])
            for stream in chosen
            if user in stream.producers
        ]
        parts.append(f'<g class="u">{"".join(curves)}{_text(_LEFT + _WIDE, y, user, "end", colour[user])}</g>')
    for user, y in y_right.items():
        curves = [
            _curve(x_stream + _MIDDLE, y_stream[stream.topic], x_right - 6, y, colour[user])
            for stream in chosen
            if user in stream.consumers
        ]
        parts.append(f'<g class="u">{"".join(curves)}{_text(x_right, y, user, "start", colour[user])}</g>')
    for stream in chosen:
        y = y_stream[stream.topic]
        loose = not stream.producers
        parts.append(
            f'<g><title>{escape(stream.sentence)}</title><rect x="{x_stream}" y="{y - _ROW / 2 + 2}" width="{_MIDDLE}" '
            f'height="{_ROW - 4}" rx="8" fill="{"#fdeeee" if loose else "#f3f5f7"}" stroke="#c4ccd4"/>'
            f"{_text(x_stream + _MIDDLE / 2, y, stream.topic, 'middle', '#222222')}</g>"
        )
    return "\n".join([*parts, "</svg>", ""])


def _chosen(streams: Iterable[Stream], task: str) -> list[Stream]:
    return [stream for stream in streams if not task or stream.task == task]


def _in_middle_order(streams: Sequence[Stream], side: str) -> list[str]:
    """Users in the order of the middle of their streams: few lines cross."""
    places: dict[str, list[int]] = {}
    for number, stream in enumerate(streams):
        for user in getattr(stream, side):
            places.setdefault(user, []).append(number)
    return sorted(places, key=lambda user: (sum(places[user]) / len(places[user]), user))


def _place(number: int, count: int, rows: int) -> float:
    return _TOP + (number + 0.5) * _ROW * rows / max(count, 1)


def _curve(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    middle = (x1 + x2) / 2
    return f'<path d="M{x1:g} {y1:g}C{middle:g} {y1:g} {middle:g} {y2:g} {x2:g} {y2:g}" stroke="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str, colour: str) -> str:
    return f'<text x="{x:g}" y="{y + 4:g}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'
