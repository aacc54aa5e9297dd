"""A comparison as one HTML page that needs nothing else: plots and pictures of differing requests are in it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from importlib import resources

from roost_rendezvous.analytics.comparison import plots, telling
from roost_rendezvous.analytics.comparison.comparing import Whole
from roost_rendezvous.analytics.comparison.report import Comparison, Drawn
from roost_rendezvous.analytics.faces.markup import Html, el, joined, table

PLOTTED = 3
"""Labels with plots; the others are in the table."""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def page(whole: Whole, pictures: Mapping[str, str], made: str = "") -> str:
    """The page. `pictures` are data URLs by the SHA-256 of the frame; `made` says when and by what."""
    found = whole.found
    body = joined(
        el("h1", f"{found.one.name} beside {found.other.name}"),
        el("p", telling.advice(found), class_=f"verdict {found.recommendation}"),
        el("p", f"{telling.headline(found)}. {telling.period(found)}", class_="soft"),
        _notes(telling.notes(found)),
        el("h2", "What is at risk"),
        [el("p", line) for line in telling.risk(found)],
        [el("p", line) for line in telling.truth(found)],
        el("p", found.band) if found.band else None,
        _labels(whole),
        _cascade(found),
        _sample(found, pictures),
        _groups(found),
        el("h2", "Both models"),
        _table(("", found.one.name, found.other.name), telling.sides(found)),
        el("p", made, class_="soft") if made else None,
    )
    head = joined(
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        el("title", f"{found.one.name} beside {found.other.name}"),
        el("link", rel="icon", href="data:,"),
        Html(f"<style>{_style()}</style>"),
    )
    return f'<!doctype html>\n<html lang="en">\n<head>{head}</head>\n<body><main>{body}</main></body>\n</html>\n'


def _labels(whole: Whole) -> Html:
    found = whole.found
    if not found.labels:
        return joined(el("h2", "Scores"), el("p", "They have no label in common, so there are no scores to compare."))
    parts: list[Html] = [
        el("h2", "Do they put the requests into the same order?"),
        el(
            "p",
            f"Top 1 %: of the requests that {found.one.name} scores highest, so many are in the other's top 1 %, too.",
            class_="soft",
        ),
        _table(telling.LABELS_HEAD, telling.labels(found)),
        el("ul", [el("li", telling.match(one)) for one in found.labels]),
    ]
    for scores, one in list(zip(whole.scores, found.labels, strict=True))[:PLOTTED]:
        names = found.one.name, found.other.name
        drawn = [make(scores, one, *names) for make in (plots.raw_plot, plots.quantile_plot, plots.top_plot)]
        parts.append(el("div", drawn, class_="plots"))
    return joined(parts)


def _cascade(found: Comparison) -> Html | None:
    if found.cascade is None:
        return None
    return joined(
        el("h2", "What all stages find together"),
        el("p", f"{found.cascade.advice.capitalize()}: {found.cascade.sentence}."),
        _table(telling.CASCADE_HEAD, telling.cascade(found)),
    )


def _sample(found: Comparison, pictures: Mapping[str, str]) -> Html | None:
    if not found.sample:
        return None
    parts: list[Html] = [
        el("h2", "Where they differ"),
        el("p", telling.strata_explained(found), class_="soft"),
        _table(telling.STRATA_HEAD, telling.strata(found)),
    ]
    for stratum in found.strata:
        cards = [_card(one, found, pictures) for one in found.sample if one.stratum == stratum.name]
        parts += [el("h3", stratum.name[:1].upper() + stratum.name[1:]), el("div", cards, class_="grid")]
    return joined(parts)


def _card(one: Drawn, found: Comparison, pictures: Mapping[str, str]) -> Html:
    url = pictures.get(one.frame, "")
    shown = el("img", src=url, alt="") if url else el("div", "no picture", class_="none")
    truth = joined(el("br"), f"in truth: {one.truth}") if one.truth else None
    words = el(
        "figcaption",
        f"{found.one.name}: ",
        el("b", telling.said(one.one, one.one_score)),
        el("br"),
        f"{found.other.name}: ",
        el("b", telling.said(one.other, one.other_score)),
        truth,
        el("br"),
        el("span", _when(one), _apart(one, found), el("br"), el("code", one.request_id), class_="soft"),
    )
    return el("figure", shown, words, class_="card")


def _apart(one: Drawn, found: Comparison) -> str:
    if not (one.one and one.other):
        return "only one answered"
    return f"{found.strata_by} {one.difference:.3g} apart"


def _when(one: Drawn) -> str:
    return f"{telling.moment(one.at)} · " if one.at > 0 else ""


def _groups(found: Comparison) -> Html | None:
    if not found.groups:
        return None
    return joined(el("h2", "By cohort"), _table(telling.GROUPS_HEAD, telling.groups(found)))


def _notes(lines: Sequence[str]) -> Html | None:
    return el("ul", [el("li", line) for line in lines], class_="caution") if lines else None


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Html:
    # Scrolls by itself where it is wider than the screen; with a tabindex also by the keyboard.
    return el("div", table(heads, rows), class_="wide", tabindex=0)


def _style() -> str:
    own = resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    shared = resources.files("roost_rendezvous.analytics.faces").joinpath("plots.css").read_text(encoding="utf-8")
    return shared + own
