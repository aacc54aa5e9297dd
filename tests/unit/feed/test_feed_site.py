import re
from dataclasses import replace
from datetime import UTC
from html.parser import HTMLParser
from pathlib import Path

import pytest
from atom_rules import ATOM, check
from feed_world import draft, number, settings, store
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.clock import VirtualClock
from roost_edge.feed.atom import Entry, atom
from roost_edge.feed.page import page
from roost_edge.feed.rows import Changes
from roost_edge.feed.site import Site
from roost_edge.feed.store import Store

ENTRY = Entry(
    number(7), "blue jay", "nest", "Blue jay, very likely.\nblue jay 90 %", "A picture.", 1_800_000_000_000, "p.jpg", 9
)


class Sources(HTMLParser):
    """What a browser would load for a page."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "srcset", "poster", "data")]
        if tag == "link" and dict(attrs).get("rel") == "stylesheet":
            self.loads.append(str(dict(attrs)["href"]))


@pytest.fixture
def kept(tmp_path: Path) -> Store:
    return store(tmp_path, VirtualClock())


def test_the_feed_is_atom_and_its_ids_stay_when_it_moves() -> None:
    here = check(atom("Hens & <Jays>", "coop-1", [ENTRY]))
    there = check(atom("Other", "coop-1", [ENTRY], site_url="https://example.org/birds/"))
    for path in (f"{ATOM}id", f"{ATOM}entry/{ATOM}id"):
        assert here.findtext(path) == there.findtext(path)
    assert here.findtext(f"{ATOM}title") == "Hens & <Jays>"
    links = {link.get("rel"): link.get("href") for link in there.findall(f"{ATOM}link")}
    assert links == {"self": "https://example.org/birds/feed.atom", "alternate": "https://example.org/birds/"}
    enclosure = [one for one in there.iter(f"{ATOM}link") if one.get("rel") == "enclosure"]
    assert [one.get("href") for one in enclosure] == ["https://example.org/birds/p.jpg"]


def test_a_feed_without_entries_is_a_feed() -> None:
    assert check(atom("t", "coop-1", [], now_ms=5)).findall(f"{ATOM}entry") == []


@given(st.text(min_size=1, max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_whatever_a_label_is_made_of_the_documents_hold(label: str, text: str, alt: str) -> None:
    entry = replace(ENTRY, label=f"a{label}", text=f"a{text}", alt=alt)
    check(atom(f"t{label}", "coop-1", [entry]))
    shown = Sources(page(label, [entry], {}, zone=UTC))
    assert shown.loads == ["p.jpg"]
    assert shown.tags.count("article") == 1
    assert "script" not in shown.tags


def test_the_page_is_complete_by_itself_and_loads_nothing_from_elsewhere(kept: Store, tmp_path: Path) -> None:
    kept.commit(Changes([draft(1), draft(2, sighting=1, ordinal=1)]), max_waiting=10)
    kept.posted(1, 0, mode="service", service_id="12345", said_ms=None)
    site = Site(tmp_path / "site", settings(), node="coop-1", zone=UTC)
    assert site.write(kept, now_ms=0) == 2
    document = (tmp_path / "site" / "index.html").read_text()
    assert all(load.startswith("data:image/jpeg;base64,") for load in Sources(document).loads)
    assert "https://x.com/i/web/status/12345" in document
    assert f'href="#p-{number(1)}"' in document  # the second picture names the first
    for target in re.findall(r'href="(pictures/[^"]+|feed\.atom)"', document):
        assert (tmp_path / "site" / target).is_file()
    check((tmp_path / "site" / "feed.atom").read_text())
    kept.close()


def test_the_folder_is_bounded_and_leaves_alone_what_is_not_ours(kept: Store, tmp_path: Path) -> None:
    site = Site(tmp_path / "site", settings(max_entries=2), node="coop-1", zone=UTC)
    foreign = [tmp_path / "site" / "robots.txt", tmp_path / "site" / "pictures" / "mine.jpg"]
    for path in foreign:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    for request in range(1, 6):
        kept.commit(Changes([draft(request)]), max_waiting=10)
        site.write(kept, now_ms=0)
    names = {path.name for path in (tmp_path / "site" / "pictures").iterdir()}
    assert names == {f"{number(5)}.jpg", f"{number(4)}.jpg", "mine.jpg"}
    assert all(path.read_text() == "mine" for path in foreign)
    assert not list((tmp_path / "site").rglob("*.part"))
    kept.close()


def test_what_has_not_changed_is_not_written_again(kept: Store, tmp_path: Path) -> None:
    kept.commit(Changes([draft(1)]), max_waiting=10)
    site = Site(tmp_path / "site", settings(), node="coop-1", zone=UTC)
    site.write(kept, now_ms=0)
    before = {path: path.stat().st_ino for path in (tmp_path / "site").rglob("*.*")}
    Site(tmp_path / "site", settings(), node="coop-1", zone=UTC).write(kept, now_ms=9)
    assert {path: path.stat().st_ino for path in (tmp_path / "site").rglob("*.*")} == before
    kept.close()
