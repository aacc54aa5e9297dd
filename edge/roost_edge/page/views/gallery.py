"""The archive as pictures: searched, leafed through, corrected. Pure."""

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from urllib.parse import urlencode

from roost_edge.page.archive import LOOKED_AT, Found, Seen, Whole
from roost_edge.page.corrections import Correction
from roost_edge.page.views.frame import Frame, may_not, token
from roost_edge.page.views.markup import Child, Html, badge, cut, el, joined, moment, table

PAGE = 24
_LABEL = 40
_CAUSES = {"preferred": "good", "fallback": "warn", "override": "warn", "default": "bad"}


def search_form(tasks: Sequence[str], task: str, labels: Sequence[str], asked: Mapping[str, str]) -> Html:
    """What is looked for; a plain form, so that an address keeps a search."""
    choose = el(
        "select",
        (el("option", name, value=name, selected=name == task) for name in tasks),
        name="task",
        aria_label="Task",
    )
    known = sorted({*labels, asked.get("label", "")} - {""})
    label = el(
        "select",
        el("option", "any label", value=""),
        (el("option", cut(name, _LABEL), value=name, selected=name == asked.get("label")) for name in known),
        name="label",
        aria_label="Label",
    )
    return el(
        "form",
        choose if len(tasks) > 1 else el("input", type="hidden", name="task", value=task),
        label,
        _field("from", "From", "date", asked),
        _field("to", "to", "date", asked),
        _field("least", "score", "number", asked, min="0", max="1", step="0.01", placeholder="0.00"),
        _field("most", "to", "number", asked, min="0", max="1", step="0.01", placeholder="1.00"),
        el("button", "Search"),
        method="get",
        action="/gallery",
        class_="search",
    )


def _field(name: str, said: str, kind: str, asked: Mapping[str, str], **more: str) -> Html:
    return el("label", el("span", said), el("input", type=kind, name=name, value=asked.get(name, ""), **more))


def results(
    task: str,
    found: Found,
    corrected: Mapping[str, Correction],
    asked: Mapping[str, str],
    now_ms: int,
    zone: tzinfo | None,
) -> Html:
    """A page of what was found, and the way to the next."""
    cards = el(
        "div", (card(task, one, corrected.get(one.request_id), now_ms, zone) for one in found.seen), class_="cards"
    )
    nothing = el("p", "Nothing like that here.", class_="none") if not found.seen else None
    return joined(nothing, cards, _further(found, asked))


def _further(found: Found, asked: Mapping[str, str]) -> Html | None:
    links: list[Child] = []
    if asked.get("before"):
        kept = {name: value for name, value in asked.items() if name != "before" and value}
        links.append(el("a", "Newest", href=f"/gallery?{urlencode(kept)}", class_="button"))
    if found.further is not None:
        said = "Older" if found.complete else f"Look further (these were the newest {LOOKED_AT:,} requests)"
        kept = {name: value for name, value in {**asked, "before": str(found.further)}.items() if value}
        links.append(el("a", said, href=f"/gallery?{urlencode(kept)}", class_="button", rel="next"))
    return el("p", links, class_="pages") if links else None


def card(task: str, one: Seen, correction: Correction | None, now_ms: int, zone: tzinfo | None) -> Html:
    """One request as a small picture with its label."""
    if one.frame and not one.frame_note:
        address = f"/picture/{task}/{one.frame}.jpg"
        image = el("img", src=address, alt="", loading="lazy", class_="picture")
    else:
        image = el("div", one.frame_note or "no picture", class_="picture none")
    label = cut(one.label or "no answer yet", _LABEL)
    score = f" {one.score:.2f}" if one.score is not None else ""
    state = badge("bad", "default") if one.cause == "default" else None
    said = el("span", f"→ {cut(correction.label, _LABEL)}", class_="corrected") if correction else None
    return el(
        "a",
        image,
        el("span", el("strong", label), score, " ", state, " ", said),
        moment(one.at_ms, now_ms, zone),
        href=f"/gallery/{task}/{one.request_id}",
        class_="card",
    )


def one(
    frame: Frame,
    task: str,
    whole: Whole,
    correction: Correction | None,
    labels: Sequence[str],
    now_ms: int,
    zone: tzinfo | None,
) -> Html:
    """One request: the picture, what everybody said, and what it really shows."""
    seen = whole.seen
    picture = (
        el("img", src=f"/picture/{task}/{seen.frame}.jpg?large", alt=f"Taken for {task}", class_="picture")
        if seen.frame and not seen.frame_note
        else el("div", f"The picture is not here: {seen.frame_note or 'the request had none'}.", class_="picture none")
    )
    said = table(
        ("model", "version", "label", "score", "took"),
        (
            (
                el("strong", each.model) if each.model == seen.model else each.model,
                cut(each.version, 24),
                cut(each.label, _LABEL) if each.label else el("em", f"declined: {each.reason}"),
                f"{each.score:.3f}" if each.score is not None else "",
                f"{each.compute_ms:.1f}\u00a0ms" if each.compute_ms is not None else "",
            )
            for each in whole.said
        ),
    )
    outcome = el(
        "p",
        el("strong", cut(seen.label or "no answer yet", _LABEL)),
        f" {seen.score:.3f}" if seen.score is not None else "",
        f" by {seen.model}" if seen.model else "",
        " ",
        badge(_CAUSES.get(seen.cause or "", "off"), seen.cause or "open"),
        f" after {seen.elapsed_ms:.0f} ms" if seen.elapsed_ms is not None else "",
        class_="outcome",
    )
    return el(
        "div",
        el("div", picture, class_="shown"),
        el(
            "div",
            outcome,
            el("p", moment(seen.at_ms, now_ms, zone), f" · {seen.camera}" if seen.camera else ""),
            el("h2", "What does it show?"),
            _correcting(frame, task, seen, correction, labels, now_ms, zone),
            el("h2", "Who said what"),
            said if whole.said else el("p", "No model's answer was archived.", class_="none"),
            el("p", el("a", "How it went, step by step", href=f"/requests/{seen.request_id}")),
            class_="facts",
        ),
        class_="two",
    )


def _correcting(
    frame: Frame,
    task: str,
    seen: Seen,
    correction: Correction | None,
    labels: Sequence[str],
    now_ms: int,
    zone: tzinfo | None,
) -> Html:
    before = None
    if correction is not None:
        where = "It is on its way to the centre." if correction.sent else "It waits for the broker."
        before = el(
            "p",
            correction.author,
            " said ",
            el("strong", cut(correction.label, _LABEL)),
            ", ",
            moment(correction.at_ms, now_ms, zone),
            f". {where}",
        )
    if not frame.form:
        return joined(before, may_not(frame))
    buttons = (el("button", cut(name, _LABEL), name="label", value=name, class_="label") for name in labels[:12])
    free = el(
        "p",
        el("input", name="other", maxlength=200, placeholder="another label", aria_label="Another label"),
        el("button", "Say so", name="label", value=""),
        class_="row",
    )
    note = "What you say is a suggestion: it becomes a label where somebody reviews it."
    action = f"/gallery/{task}/{seen.request_id}"
    return joined(
        before,
        el("form", token(frame), el("div", buttons, class_="labels"), free, method="post", action=action),
        el("p", note, class_="note"),
    )
