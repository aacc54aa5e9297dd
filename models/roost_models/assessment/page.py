"""A report as one HTML page that needs nothing else: pictures of differing requests are in it. Pure.

Everything that comes from outside (names, labels, sentences of a model) is escaped.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources

from roost_models.assessment import telling
from roost_models.assessment.report import Assessment, Differing

_ACCURACY = ("", "candidate", "champion", "labelled")
_SIDES = ("", "candidate", "champion", "ratio")
_RULES = ("", "rule", "", "measured", "limit")


def page(report: Assessment, pictures: Mapping[str, str]) -> str:
    """The page. `pictures` are data URLs by the SHA-256 of the frame; what is not there is shown as missing."""
    verdict = telling.verdict(report)
    # A style of ours, and not the reader's network: that is what the policy in the page's head allows.
    style = resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    parts = [
        f"<h1>{_e(report.candidate.name)} {_e(report.candidate.version)}</h1>",
        f'<p class="verdict {"good" if report.accepted else "bad"}">{_e(verdict)}</p>',
        f'<p class="soft">{_e(telling.subject(report))}<br>{_e(telling.moment(report.made_at_ms))} UTC, digest '
        f"<code>{_e(report.candidate.digest)}</code></p>",
        *_cautions(report),
        "<h2>Gate</h2>",
        _rules(report),
    ]
    if report.agreement is not None:
        parts += ["<h2>How far both say the same</h2>", *(f"<p>{_e(line)}</p>" for line in telling.agreement(report))]
    accuracies = telling.accuracies(report)
    if accuracies and report.labelled is not None:
        parts += ["<h2>Where it is labelled</h2>", f'<p class="soft">{_e(report.labelled.source)}; 95 % intervals.</p>']
        parts += [_table(_ACCURACY, accuracies), f"<p>{_e(telling.paired(report))}</p>"]
    parts += ["<h2>Speed, memory, failures</h2>", _table(_SIDES, telling.sides(report))]
    parts.append(_list("soft", telling.notes(report)))
    if report.differing:
        parts += ["<h2>Where they differ</h2>", _differing(report.differing, pictures)]
    return _WHOLE.format(title=_e(verdict), style=style, body="\n".join(parts))


def _cautions(report: Assessment) -> list[str]:
    lines = telling.cautions(report)
    return [_list("caution", lines)] if lines else []


def _list(kind: str, lines: Iterable[str]) -> str:
    return f'<ul class="{kind}">{"".join(f"<li>{_e(line)}</li>" for line in lines)}</ul>'


def _rules(report: Assessment) -> str:
    rows = []
    for rule, cells in zip(report.rules, telling.rules(report), strict=True):
        kind = "good" if rule.lets_pass else "bad"
        rest = "".join(f"<td>{_e(cell)}</td>" for cell in cells[1:])
        rows.append(f'<tr><td><span class="pill {kind}">{_e(cells[0])}</span></td>{rest}</tr>')
    return _whole_table(_RULES, rows)


def _differing(found: Sequence[Differing], pictures: Mapping[str, str]) -> str:
    parts: list[str] = []
    stratum = None
    for one in found:
        if one.stratum != stratum:
            parts += ["</div>"] if stratum is not None else []
            stratum = one.stratum
            title = "One of them failed" if stratum == "failed" else f"Scores {stratum} apart"
            parts += [f"<h3>{_e(title)}</h3>", '<div class="grid">']
        parts.append(_card(one, pictures.get(one.frame, "")))
    return "\n".join([*parts, "</div>"])


def _card(one: Differing, url: str) -> str:
    picture = f'<img src="{_e(url)}" alt="">' if url else '<div class="none">no picture</div>'
    truth = f"<br>in truth: {_e(one.truth)}" if one.truth else ""
    return (
        f'<figure class="card">{picture}<figcaption><b>{_e(telling.said(one.candidate))}</b><br>'
        f"champion: {_e(telling.said(one.champion))}{truth}"
        f'<br><span class="soft">{_e(one.node)} {_e(telling.moment(one.at_ms))}<br>'
        f"<code>{_e(one.request_id)}</code></span></figcaption></figure>"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return _whole_table(head, [f"<tr>{''.join(f'<td>{_e(cell)}</td>' for cell in row)}</tr>" for row in rows])


def _whole_table(head: Sequence[str], rows: Iterable[str]) -> str:
    heads = "".join(f"<th>{_e(cell)}</th>" for cell in head)
    return f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _e(text: str) -> str:
    return escape(text, quote=True)


_WHOLE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""
