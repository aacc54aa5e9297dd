"""The newest requests that were traced, and one of them. Pure."""

from collections.abc import Sequence
from datetime import tzinfo

from roost_broker.clock import MS
from roost_edge.page.views.markup import Html, badge, cut, el, joined, moment
from roost_edge.page.views.waterfall import headline, sentences, waterfall
from roost_rendezvous.traces.knit import Knit
from roost_rendezvous.traces.waterfall import duration


def listing(found: Sequence[tuple[str, Knit]], now_ms: int, zone: tzinfo | None) -> Html:
    """One line for each request (with its task), with the race in small."""
    if not found:
        said = "No request was traced yet. Which are is the share in [traces] of the settings."
        return el("p", said, class_="none")
    return el("ol", (_line(task, whole, now_ms, zone) for task, whole in found), class_="races")


def _line(task: str, whole: Knit, now_ms: int, zone: tzinfo | None) -> Html:
    result = whole.result
    label = "no answer seen"
    cause, grade = "open", "off"
    if result is not None:
        cause = result.cause
        grade = {"preferred": "good", "default": "bad"}.get(cause, "warn")
        decided = result.answer or result.default
        label = cut(decided.label, 40) if decided is not None else "?"
    by = f" by {result.answer.model}" if result is not None and result.answer is not None else ""
    took = f" in {duration(whole.answered_ns)}" if whole.answered_ns is not None else ""
    ran_on = sum(part.ran_on_ns for part in whole.parts)
    waste = el("span", f" · {duration(ran_on)} of work after it", class_="dim") if ran_on else None
    return el(
        "li",
        moment(whole.began_wall_ns // MS, now_ms, zone),
        " ",
        el("a", el("strong", label), href=f"/requests/{whole.request_id}"),
        by,
        took,
        " ",
        badge(grade, cause),
        waste,
        el("span", f" · {task}", class_="dim"),
    )


def one(task: str, whole: Knit, now_ms: int, zone: tzinfo | None) -> Html:
    """One request with its waterfall, in words too."""
    return joined(
        headline(whole),
        el(
            "p",
            moment(whole.began_wall_ns // MS, now_ms, zone),
            f" · {task} · ",
            el("a", "the picture", href=f"/gallery/{task}/{whole.request_id}"),
            " · ",
            el("code", whole.request_id),
        ),
        waterfall(whole),
        el("h2", "In words"),
        sentences(whole),
    )
