"""The settings file in a field, what was found in it, and the areas of the cameras. Pure."""

from collections.abc import Iterable, Sequence

from roost_edge.page.finding import Finding
from roost_edge.page.settings_file import Standing
from roost_edge.page.views.frame import Frame, may_not, token
from roost_edge.page.views.markup import Html, badge, el, joined


def areas_of(cameras: Iterable[str]) -> Html:
    """The way to the areas of each camera."""
    links = [el("a", f"Masks and zones of {name}", href=f"/settings/areas/{name}", class_="button") for name in cameras]
    return el("p", links, class_="pages") if links else el("p", "There is no camera in the settings.", class_="none")


def findings(found: Sequence[Finding], *, asked: bool) -> Html | None:
    """What is wrong with the text, line by line."""
    if not asked:
        return None
    if not found:
        return el("p", badge("good", "valid"), " A device can run on these settings.", role="status")
    items = (
        el(
            "li",
            badge("bad" if one.level == "error" else "warn", one.level),
            f" line {one.line}",
            f" · {one.field}" if one.field else "",
            f": {one.problem} ",
            el("span", one.remedy, class_="remedy"),
        )
        for one in found
    )
    return el("ul", items, class_="concerns", role="alert")


def editor(frame: Frame, text: str, standing: Standing, version: str) -> Html:
    """The file's text. Without a session nothing of it is shown: a settings file may hold passwords."""
    if not frame.form:
        return may_not(frame)
    if standing == "unknown":
        return el("p", "This page does not know the settings' file.", class_="none")
    field = el(
        "textarea",
        "\n" + text,
        name="text",
        rows=28,
        spellcheck="false",
        autocomplete="off",
        aria_label="Settings, TOML",
        wrap="off",
    )
    save = "Save" if standing == "writable" else "Check and keep as a proposal"
    buttons = el(
        "p",
        el("button", "Check", name="do", value="check", class_="quiet"),
        el("button", save, name="do", value="save"),
        class_="row",
    )
    hidden = el("input", type="hidden", name="version", value=version)
    return el("form", token(frame), hidden, field, buttons, note(standing), method="post", action="/settings")


def note(standing: Standing) -> Html:
    """What saving does here."""
    if standing == "writable":
        return el(
            "p",
            "Saved only when it is valid; the one before is kept beside it. Roles read it when they start: "
            "start the device anew for it to hold.",
            class_="note",
        )
    return el(
        "p",
        "The page may not write the settings (they decide what runs on this device). It keeps a valid text "
        "as a proposal; on the device, ",
        el("code", "sudo roost page apply"),
        " shows what changes and puts it in force.",
        class_="note",
    )


def saved(standing: Standing) -> Html:
    """After saving."""
    if standing == "writable":
        return el("p", badge("good", "saved"), " Start the device anew for it to hold.", role="status")
    return el("p", badge("good", "kept"), " Now, on the device: ", el("code", "sudo roost page apply"), role="status")


def areas(frame: Frame, camera: str, kinds: Sequence[tuple[str, str]], text: str, picture: str, version: str) -> Html:
    """Polygons on the newest picture. Without JavaScript the field below is the way. `kinds`: name and what it does."""
    drawing = el(
        "div",
        el("img", src=picture, alt=f"The newest picture of {camera}", id="ground"),
        Html('<svg id="drawing" viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true"></svg>'),
        class_="areas",
        id="areas",
    )
    ground = drawing if picture else el("p", "There is no picture to draw on yet.", class_="none")
    if not frame.form:
        return joined(ground, may_not(frame))
    choices = (
        el("label", el("input", type="radio", name="kind", value=name, checked=number == 0), f" {said}")
        for number, (name, said) in enumerate(kinds)
    )
    tools = el(
        "p",
        choices,
        el("button", "New area", type="button", id="begin", class_="quiet"),
        el("button", "Undo point", type="button", id="undo", class_="quiet"),
        el("button", "Remove last area", type="button", id="remove", class_="quiet"),
        id="tools",
        class_="row",
        hidden=True,
    )
    field = el("textarea", "\n" + text, name="areas", rows=8, spellcheck="false", id="text", aria_label="Areas")
    form = el(
        "form",
        token(frame),
        el("input", type="hidden", name="version", value=version),
        ground,
        tools,
        el(
            "p",
            "One area a line: ",
            el("code", "mask 0.1,0.2 0.5,0.2 0.3,0.6"),
            ", or ",
            el("code", "zone feeder 0.4,0.4 0.9,0.4 0.9,0.9"),
            ". Shares of the picture from its upper left corner.",
            class_="note",
        ),
        field,
        el("p", el("button", "Save"), class_="row"),
        method="post",
        action=f"/settings/areas/{camera}",
    )
    return form
