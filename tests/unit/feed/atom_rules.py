"""What RFC 4287 asks of a feed document, checked element by element. Raises AssertionError with the rule."""

import re
from collections import Counter
from datetime import datetime
from xml.etree import ElementTree

ATOM = "{http://www.w3.org/2005/Atom}"
XHTML = "{http://www.w3.org/1999/xhtml}"
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_MEDIA = re.compile(r".+/.+")
_FEED = {"id": (1, 1), "title": (1, 1), "updated": (1, 1), "generator": (0, 1), "icon": (0, 1), "logo": (0, 1)}
_FEED |= {"rights": (0, 1), "subtitle": (0, 1), "author": (0, 99), "link": (0, 99), "entry": (0, 9_999)}
_ENTRY = {"id": (1, 1), "title": (1, 1), "updated": (1, 1), "published": (0, 1), "summary": (0, 1), "content": (0, 1)}
_ENTRY |= {"author": (0, 99), "link": (0, 99), "category": (0, 99), "rights": (0, 1), "source": (0, 1)}


def check(document: str) -> ElementTree.Element:
    """The document's root, when it is an Atom feed in every respect that a program can see."""
    feed = ElementTree.fromstring(document)  # noqa: S314  # our own document
    assert feed.tag == f"{ATOM}feed", "4.1.1: the document element is atom:feed"
    _counts(feed, _FEED)
    entries = feed.findall(f"{ATOM}entry")
    authored = feed.find(f"{ATOM}author") is not None
    assert authored or all(one.find(f"{ATOM}author") is not None for one in entries), "4.1.1: somebody is the author"
    for entry in entries:
        _counts(entry, _ENTRY)
        _entry(entry)
    ids = [one.findtext(f"{ATOM}id") for one in entries]
    assert len(ids) == len(set(ids)), "4.1.1: two entries of one id"
    for element in feed.iter():
        _element(element)
    return feed


def _counts(parent: ElementTree.Element, rules: dict[str, tuple[int, int]]) -> None:
    found = Counter(child.tag.removeprefix(ATOM) for child in parent)
    assert set(found) <= set(rules), f"unknown children: {set(found) - set(rules)}"
    for name, (least, most) in rules.items():
        assert least <= found[name] <= most, f"4.1: {found[name]} of {name}"
    kinds = [(one.get("type"), one.get("hreflang")) for one in _links(parent) if one.get("rel") == "alternate"]
    assert len(kinds) == len(set(kinds)), "4.1.1: two alternates of one type"


def _entry(entry: ElementTree.Element) -> None:
    content = entry.find(f"{ATOM}content")
    if content is None:
        assert any(one.get("rel", "alternate") == "alternate" for one in _links(entry)), "4.1.2: no content, no link"
    elif content.get("type") == "xhtml":
        assert [child.tag for child in content] == [f"{XHTML}div"], "3.1.1.3: one div"
        assert not (content.text or "").strip(), "3.1.1.3: nothing beside the div"


def _links(parent: ElementTree.Element) -> list[ElementTree.Element]:
    return parent.findall(f"{ATOM}link")


def _element(element: ElementTree.Element) -> None:
    name = element.tag.removeprefix(ATOM)
    text = element.text or ""
    if name in ("updated", "published"):
        assert _DATE.fullmatch(text), f"3.3: {text!r} is no date"
        datetime.fromisoformat(text)
    elif name == "id":
        assert re.fullmatch(r"[a-z][a-z0-9+.-]*:\S+", text), f"4.2.6: {text!r} is no IRI"
    elif name == "link":
        href = element.get("href")
        assert href, "4.2.7: a link has a target"
        assert not re.search(r"[\s<>\"{}|\\^`]", href), f"4.2.7.1: {href!r} is no IRI reference"
        assert _MEDIA.fullmatch(element.get("type", "a/b")), "4.2.7.3: no media type"
        assert element.get("length", "0").isdigit()
    elif name == "author":
        assert [child.tag for child in element if child.tag == f"{ATOM}name"], "3.2.1: an author has a name"
    elif name == "category":
        assert element.get("term"), "4.2.2: a category has a term"
    elif name in ("title", "summary"):
        assert element.get("type", "text") == "text", "we write plain text"
        assert not list(element), "3.1.1.1: text has no children"
