"""The doctor's report, and the support bundle. Pure."""

from datetime import tzinfo

from roost_edge.doctor.findings import Report
from roost_edge.page.views.frame import Frame, may_not, token
from roost_edge.page.views.markup import Html, badge, el, joined, moment

_GRADES = {"ok": "good", "warn": "warn", "fail": "bad", "skipped": "off"}
_ORDER = ("fail", "warn", "ok", "skipped")


def asking(frame: Frame, *, busy: bool) -> Html:
    """The button that begins an examination."""
    if not frame.form:
        return may_not(frame)
    if busy:
        return el("p", badge("warn", "examining"), " It takes seconds, or a minute on a small board.", role="status")
    return el("form", token(frame), el("button", "Examine now"), method="post", action="/doctor")


def report(found: Report | None, problem: tuple[str, str] | None, now_ms: int, zone: tzinfo | None) -> Html:
    """The newest report of this page's own asking."""
    trouble = None
    if problem is not None:
        trouble = el("p", badge("bad", "no answer"), f" {problem[0]} ", el("span", problem[1], class_="remedy"))
    if found is None:
        return joined(
            trouble, el("p", "Nobody has asked here since this page began.", class_="none") if not trouble else None
        )
    summary = ", ".join(f"{found.count(status)} {status}" for status in _ORDER if found.count(status))  # type: ignore[arg-type]  # the same words
    rows = sorted(found.checks, key=lambda one: _ORDER.index(one.status))
    items = (
        el(
            "li",
            badge(_GRADES[one.status], one.status),
            " ",
            el("strong", one.name),
            " ",
            one.found,
            " ",
            el("span", one.remedy, class_="remedy") if one.remedy else None,
        )
        for one in rows
    )
    return joined(
        trouble,
        el(
            "p",
            badge("good" if found.ok else "bad", "well" if found.ok else "not well"),
            f" {summary}, ",
            moment(found.timestamp, now_ms, zone),
        ),
        el("ul", items, class_="concerns"),
    )


def bundle(frame: Frame) -> Html:
    """What helps whoever helps, as one file."""
    said = (
        "Versions, settings without what is secret, states, the newest doctor's report and the last log lines. "
        "Look into it before you send it."
    )
    form = el("form", token(frame), el("button", "Download the support bundle"), method="post", action="/support.zip")
    return joined(el("p", said), form if frame.form else may_not(frame))
