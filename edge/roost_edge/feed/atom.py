"""The feed as Atom (RFC 4287): pure. Ids come from request ids, so they outlive restarts, clocks and new addresses."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.sax.saxutils import escape, quoteattr

_ROOT = uuid.UUID("6d1f3a52-7d0e-5b7e-9c39-6f1c8a0b5d11")
"""Names below it are nodes; chosen once by lot."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One post as page and Atom show it."""

    request_id: str
    label: str
    camera: str
    text: str
    alt: str
    at_ms: int
    picture: str
    """Its file, relative to the page."""
    picture_bytes: int
    link: str = ""
    """Where the service shows it; empty where it does not."""
    answers: str = ""
    """Request id of the first post of its thread; empty for that post itself."""


def atom(title: str, node: str, entries: Sequence[Entry], *, site_url: str = "", now_ms: int = 0) -> str:
    """The document; `entries` newest first. `now_ms` is its date where it has no entry."""
    base = f"{site_url.rstrip('/')}/" if site_url else ""
    updated = max((one.at_ms for one in entries), default=now_ms)
    links = [f'  <link rel="alternate" type="text/html" href={quoteattr(base or "index.html")}/>']
    if base:
        links.insert(0, f'  <link rel="self" type="application/atom+xml" href={quoteattr(base + "feed.atom")}/>')
    return "\n".join(
        [
            '<?xml version="1.0" encoding="utf-8"?>',
            '<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en">',
            f"  <title>{_text(title)}</title>",
            f"  <id>urn:uuid:{uuid.uuid5(_ROOT, node)}</id>",
            f"  <updated>{stamp(updated)}</updated>",
            *links,
            f"  <author><name>{_text(title)}</name></author>",
            "  <generator>Roost</generator>",
            *(_entry(one, base) for one in entries),
            "</feed>",
            "",
        ]
    )


def stamp(at_ms: int) -> str:
    """A moment as RFC 3339 writes it."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _entry(one: Entry, base: str) -> str:
    picture = base + one.picture
    lines = "".join(f"<p>{_text(line)}</p>" for line in one.text.splitlines() if line.strip())
    page = f"{base or 'index.html'}#p-{one.request_id}"
    body = f'<p><a href="{_text(picture)}"><img src="{_text(picture)}" alt="{_quoted(one.alt)}"/></a></p>{lines}'
    return "\n".join(
        [
            "  <entry>",
            f"    <title>{_text(one.text.splitlines()[0] if one.text else one.label)}</title>",
            f"    <id>urn:uuid:{uuid.UUID(one.request_id)}</id>",
            f"    <published>{stamp(one.at_ms)}</published>",
            f"    <updated>{stamp(one.at_ms)}</updated>",
            f"    <category term={quoteattr(_plain(one.label))}/>",
            f'    <link rel="alternate" type="text/html" href={quoteattr(one.link or page)}/>',
            f'    <link rel="enclosure" type="image/jpeg" length="{one.picture_bytes}" href={quoteattr(picture)}/>',
            f"    <summary>{_text(one.text)}</summary>",
            f'    <content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">{body}</div></content>',
            "  </entry>",
        ]
    )


def _plain(text: str) -> str:
    """Without what XML cannot hold: a label with such a character would make the whole feed unreadable."""
    return "".join(
        one for one in text if one in "\t\n" or " " <= one <= "\ud7ff" or "\ue000" <= one <= "\ufffd" or one > "\uffff"
    )


def _text(text: str) -> str:
    return escape(_plain(text))


def _quoted(text: str) -> str:
    return escape(_plain(text), {'"': "&quot;"})
