"""What every page has around it: head, the way to the others, how the device is, and the foot. Pure."""

from dataclasses import dataclass

from roost_edge.page.views.markup import Html, badge, el, joined

PLACES = (
    ("/", "Now"),
    ("/requests", "Requests"),
    ("/gallery", "Gallery"),
    ("/models", "Models"),
    ("/alarms", "Alarms"),
    ("/settings", "Settings"),
    ("/doctor", "Doctor"),
)


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a page stands and who looks at it."""

    node: str
    version: str
    place: str = ""
    broker: bool = True
    """Connected to it."""
    stale: str = ""
    """Since when not, in words; empty while it is."""
    form: str = ""
    """The session's token; empty: nobody has logged in, and nothing can be changed."""
    password: bool = False
    """Whether one is set."""


def document(frame: Frame, title: str, *content: Html, live: int | None = None, scripts: tuple[str, ...] = ()) -> Html:
    """The whole page.

    `live` counts what was heard until now; such a page looks again when it is more (by itself, without JavaScript).
    """
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", f"{title} · {frame.node}"),
        el("link", rel="icon", href="/static/roost.svg", type="image/svg+xml"),
        *(el("link", rel="stylesheet", href=f"/static/{name}.css?{frame.version}") for name in ("page", "plots")),
        el("noscript", el("meta", http_equiv="refresh", content="10")) if live is not None else None,
        *(el("script", src=f"/static/{name}?{frame.version}", defer=True) for name in ("page.js", *scripts)),
    )
    body = el(
        "body",
        el("a", "To the content", href="#main", class_="skip"),
        _header(frame),
        el("main", part(frame, title, *content), id="main", data_live=live),
        _footer(frame),
    )
    return Html("<!doctype html>" + el("html", head, body, lang="en"))


def part(frame: Frame, title: str, *content: Html) -> Html:
    """What changes: the inside of `main`."""
    return joined(_stale(frame), el("h1", title), *content)


def token(frame: Frame) -> Html:
    """Goes into every form that changes something."""
    return el("input", type="hidden", name="form", value=frame.form)


def still() -> Html:
    """Without JavaScript a page that looks again closes what somebody has opened: how to let it stand."""
    return el("noscript", el("p", el("a", "Do not look again by itself", href="?still"), class_="note"))


def may_not(frame: Frame) -> Html:
    """What stands in the place of a form where nothing can be changed."""
    how = "Set one on the device: roost page password." if not frame.password else "Log in first."
    return el("p", "Without a password this page only shows. ", el("span", how), class_="note")


def _header(frame: Frame) -> Html:
    links = [
        el("a", name, href=path, aria_current="page" if path == frame.place else None, class_="place")
        for path, name in PLACES
    ]
    return el(
        "header",
        el("a", el("img", src="/static/roost.svg", alt="", width=28, height=28), frame.node, href="/", class_="name"),
        el("nav", links, aria_label="Pages") if frame.form or not frame.password else None,
    )


def _stale(frame: Frame) -> Html | None:
    if frame.broker:
        return None
    said = f"The broker is not reachable{frame.stale}. What stands here may be old; archive and traces are read anew."
    return el("p", badge("bad", "stale"), " ", said, class_="trouble", role="status")


def _footer(frame: Frame) -> Html:
    leave = el("form", token(frame), el("button", "Log out", class_="quiet"), method="post", action="/logout")
    return el("footer", el("span", f"Roost {frame.version}"), leave if frame.form else None)
