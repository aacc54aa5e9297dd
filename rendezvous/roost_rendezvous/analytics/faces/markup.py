"""Writing HTML and SVG: what is text is escaped, always; only this module makes what is not. Pure."""

import re
from collections.abc import Iterable
from html import escape
from typing import TypeAlias

_VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})
_SEAM = re.compile(r"(?<=\w)[/.-](?=[^\W\d])|(?<=[^\W\d])[/-](?=\w)")
"""Between two pieces of a name, one of which is no number."""


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Child: TypeAlias = "str | int | Iterable[Child] | None"
Attribute: TypeAlias = "str | int | float | bool | None"


def el(tag: str, *children: Child, **attributes: Attribute) -> Html:
    """An element. `class_` is the attribute `class`, `data_x` is `data-x`; None and False are left out."""
    said = "".join(
        _attribute(name, value) for name, value in attributes.items() if value is not None and value is not False
    )
    if tag in _VOID:
        return Html(f"<{tag}{said}>")
    return Html(f"<{tag}{said}>{joined(*children)}</{tag}>")


def joined(*children: Child) -> Html:
    """One after the other; nothing between them."""
    return Html("".join(_text(child) for child in children))


def _text(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, str | int):
        return escape(str(child))
    return joined(*child)


def _attribute(name: str, value: Attribute) -> str:
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def cut(text: str, most: int) -> str:
    """At most so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def breakable(text: str) -> Html:
    """Text whose names may wrap after `/`, `.` and `-`: never inside a word, a number or a date."""
    return Html(_SEAM.sub(r"\g<0><wbr>", escape(text)))


def table(heads: Iterable[str], rows: Iterable[Iterable[Child]], **attributes: Attribute) -> Html:
    """A table that a narrow screen shows as cards: each cell carries its column's name."""
    names = list(heads)
    body = (el("tr", (el("td", cell, data_label=name) for name, cell in zip(names, row, strict=False))) for row in rows)
    return el(
        "table", el("thead", el("tr", (el("th", name, scope="col") for name in names))), el("tbody", body), **attributes
    )


def badge(state: str, text: str = "") -> Html:
    """A state as a word in a colour: `good`, `warn`, `bad` or `off`."""
    return el("span", text or state, class_=f"badge {state}")
