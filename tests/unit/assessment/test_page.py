"""The report as a page and as text."""

import re
from html.parser import HTMLParser

import msgspec

from roost_models.assessment import telling
from roost_models.assessment.page import page
from roost_models.assessment.report import (
    Agreement,
    Assessment,
    Differing,
    Fault,
    Period,
    Rule,
    Said,
)
from roost_models.rollout.document import BundleRef

NASTY = '<script>alert("x")</script>\x1b[31m'
FRAME = "f" * 64
REPORT = Assessment(
    accepted=False,
    task="nest",
    candidate=BundleRef(name="hen", version="2", digest="a" * 64),
    champion=BundleRef(name="hen", version="1", digest="b" * 64),
    made_at_ms=1_760_000_000_000,
    period=Period(archive="x", requests=100_000, nodes=["coop"], first_ms=1_760_000_000_000, last_ms=1_760_000_060_000),
    rules=[Rule(name="max_risk", outcome="fail", sentence=NASTY, measured=0.0105, limit=0.01)],
    agreement=Agreement(
        compared=100_000,
        identical=5,
        almost=99_000,
        same_label=99_500,
        tolerance=0.05,
        risk=0.01,
        upper=0.010533,
    ),
    differing=[
        Differing(
            request_id=f"{n:032x}",
            node=NASTY,
            at_ms=1,
            stratum=stratum,
            difference=0.7,
            candidate=Said(label=NASTY, score=0.5),
            champion=Said(failure="failed"),
            truth=NASTY,
            frame=FRAME if n else "",
        )
        for n, stratum in enumerate(("failed", "0.5-1"))
    ],
    remarks=[NASTY],
)


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)
        self.outside += [value for name, value in attrs if name in ("src", "href") and value and value[:5] != "data:"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_whatever_names_and_labels_say_the_page_is_well_formed_runs_nothing_and_fetches_nothing() -> None:
    seen = Seen()
    seen.feed(page(REPORT, {FRAME: "data:image/jpeg;base64,AAAA"}))
    assert seen.open == []
    assert "script" not in seen.tags
    assert seen.outside == []


def test_pictures_are_in_the_page_and_one_that_is_missing_is_said_to_be() -> None:
    text = page(REPORT, {FRAME: "data:image/jpeg;base64,AAAA"})
    assert text.count('<img src="data:image/jpeg;base64,AAAA"') == 1
    assert text.count("no picture") == 1


def test_the_verdict_says_what_was_not_kept_or_what_went_wrong() -> None:
    assert telling.verdict(REPORT) == "hen 2 is refused: 1 of 1 rules of the gate not kept."
    fault = Fault(who="candidate", reason="hung", detail="It did not come back within 30 s.")
    assert "the candidate: It did not come back" in telling.verdict(msgspec.structs.replace(REPORT, fault=fault))
    assert "accepted" in telling.verdict(msgspec.structs.replace(REPORT, accepted=True))


def test_the_promised_figure_is_told_as_it_is_promised() -> None:
    text = "\n".join(telling.agreement(REPORT))
    assert "99,000 of 100,000" in text
    assert re.search(r"At most 1 % .* upper 95 % limit 1\.053 %", text)


def test_a_share_that_is_not_all_is_never_told_as_all() -> None:
    assert telling.percent(99_999_999, 100_000_000) == "99.99 %"
    assert telling.percent(5, 5) == "100 %"
