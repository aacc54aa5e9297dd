"""What the device sees at this moment, and whether everything is well. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo

from roost_broker.messages import Alarms, Alert, Motion
from roost_edge.page.archive import Seen
from roost_edge.page.views.frame import Frame, token
from roost_edge.page.views.gallery import card
from roost_edge.page.views.markup import Html, badge, cut, el, joined, moment
from roost_edge.page.wellness import Concern, learning

_SIGHTINGS = 8


def wellness(found: Sequence[Concern], lists: Mapping[str, Alarms]) -> Html:
    """One line when all is well; else what is not, and what to do. `lists` are the open alarms, by task."""
    if not found:
        return el("p", _ready(lists))
    items = (
        el(
            "li",
            badge(one.grade, {"bad": "broken", "warn": "not yet"}.get(one.grade, "note")),
            " ",
            one.what,
            " ",
            el("span", one.remedy, class_="remedy"),
        )
        for one in found
    )
    return el("ul", items, class_="concerns")


def _ready(lists: Mapping[str, Alarms]) -> Html:
    """Everybody runs. Well it is only where the monitor would say something, and does not."""
    ready = " Every role and model that the settings ask for is ready"
    count = sum(one.state == "open" for task in lists.values() for one in task.open)
    if count:
        link = el("a", f"{count} alarm{'s are' if count > 1 else ' is'} open", href="/alarms")
        return joined(badge("bad", "alarm"), f"{ready}, but ", link, ".")
    if learning(lists):
        return joined(badge("warn", "learning"), f"{ready}. What is usual here is not known yet.")
    behind = max((said.signals - said.able for said in lists.values()), default=0)
    beside = f" {behind:,} of the watched signals still learn what is usual." if behind > 0 else ""
    return joined(badge("good", "well"), f"{ready}.{beside}")


def cameras(
    frame: Frame,
    names: Iterable[str],
    shown: Mapping[str, str],
    motions: Mapping[str, Motion],
    captions: Mapping[str, Html | None],
) -> Html:
    """Each camera with its newest picture. `shown`: the picture's address."""
    return el(
        "div",
        (_camera(frame, name, shown.get(name, ""), motions.get(name), captions.get(name)) for name in names),
        class_="cameras",
    )


def _camera(frame: Frame, name: str, picture: str, motion: Motion | None, caption: Html | None) -> Html:
    moving = motion is not None and motion.state == "on"
    image = (
        el("img", src=picture, alt=f"The newest picture of {name}", class_="picture")
        if picture
        else el("div", "No picture yet: nothing has moved before this camera.", class_="picture none")
    )
    state = badge("good", "moving") if moving else badge("off", "still" if motion is not None else "not heard of")
    take = el(
        "form", token(frame), el("button", "Take a picture now", class_="quiet"), method="post", action=f"/now/{name}"
    )
    words = el("figcaption", el("span", el("strong", name), " ", state, " ", caption), take if frame.form else None)
    return el("figure", image, words, class_="camera")


def sightings(alerts: Sequence[Alert], now_ms: int, zone: tzinfo | None) -> Html:
    """Who was there lately, the newest first."""
    if not alerts:
        return el("p", "Nothing was sighted since this page began to listen.", class_="none")
    newest = sorted(alerts, key=lambda one: one.last_at, reverse=True)[:_SIGHTINGS]
    return el("ol", (_sighting(one, now_ms, zone) for one in newest), class_="sightings")


def _sighting(one: Alert, now_ms: int, zone: tzinfo | None) -> Html:
    times = "once" if one.requests == 1 else f"{one.requests} times"
    there = badge("good", "there now") if one.type != "end" else None
    label = el("strong", cut(one.label, 60))
    name = el("a", label, href=f"/gallery/{one.task}/{one.request_id}") if one.request_id else label
    score = f" {one.score:.2f}" if one.score is not None else ""
    where = f" · {one.camera} · {times} "
    return el("li", moment(one.last_at, now_ms, zone), " ", name, score, where, there)


def newest(task: str, seen: Sequence[Seen], now_ms: int, zone: tzinfo | None) -> Html:
    """The last pictures of a task, from the archive."""
    if not seen:
        return el("p", "Nothing was archived yet.", class_="none")
    return el("div", (card(task, one, None, now_ms, zone) for one in seen), class_="cards")
