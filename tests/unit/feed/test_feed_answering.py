from pathlib import Path

import pytest
from feed_world import draft, number, store

from roost_broker.clock import VirtualClock
from roost_broker.messages import decode, encode
from roost_broker.topics import NodeTopics
from roost_edge.feed.answering import suggested
from roost_edge.feed.replies import ReplyBook
from roost_edge.feed.rows import Changes
from roost_edge.feed.service import DryRun, Replies, Reply
from roost_models.labels.suggesting import entry_of, is_suggestion

KNOWN = ("blue jay", "jay", "rhode_island_red", "empty")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("@coop That's a blue jay!", "blue jay"),
        ("@coop a Jay, surely", "jay"),
        ("two Blue Jays!!", "blue jay"),
        ("Rhode Island Red 😀", "rhode_island_red"),
        ("@coop not a blue jay", ""),
        ("that is NOT a very good blue jay, but a jay? no: it isn't a blue jay", "jay"),
        ("it isn't a jay", ""),
        ("not an egg in sight in the whole wide world. A blue jay.", "blue jay"),
        ("bluejay", ""),
        ("#raccoon", "raccoon"),
        ("label: Buff Orpington, I think", "buff orpington"),
        ("@coop yes", "hen"),
        ("That's right", "hen"),
        ("yes, a jay", "jay"),
        ("lovely picture", ""),
        ("https://blue.jay/#jay", ""),
        ("", ""),
        ("@blue_jay hello", ""),
    ],
)
def test_an_answer_suggests_the_label_that_it_names_or_none(text: str, label: str) -> None:
    assert suggested(text, "hen", KNOWN) == label


def test_an_answer_of_any_length_is_read_in_a_moment() -> None:
    assert suggested("label: " * 20_000 + "blue " * 20_000, "hen", KNOWN) != "hen"


class Heard(DryRun):
    """A service at which somebody answered."""

    def __init__(self, folder: Path, *replies: Reply) -> None:
        super().__init__(folder, max_entries=9)
        self.heard = Replies(replies, "12")

    def replies(self, since: str, conversations: tuple[str, ...]) -> Replies:
        return self.heard


def reply(number: str, to: str, text: str, *, conversation: str = "") -> Reply:
    return Reply(number, to, conversation, "ann", text, 5)


def test_an_answer_becomes_a_suggestion_that_the_labels_store_takes_once_and_is_told_until_it_was_taken(
    tmp_path: Path,
) -> None:
    kept = store(tmp_path, VirtualClock())
    kept.commit(Changes([draft(1)], heard=[("door", "leghorn"), ("other", "cat")]), max_waiting=9)
    kept.posted(1, 0, mode="service", service_id="900", said_ms=None)
    book = ReplyBook(kept, NodeTopics("coop-1"), (), VirtualClock())
    service = Heard(
        tmp_path,
        reply("10", "900", "a leghorn"),
        reply("11", "555", "a leghorn too", conversation="900"),  # it answers an answer
        reply("12", "900", "my cat says hello"),  # a label of another task
        reply("13", "1", "a leghorn"),  # it answers a post of somebody else
    )
    assert book.fetch(service) == (4, 2)
    assert book.fetch(service) == (0, 0)
    untold = book.untold()
    assert {topic for _, topic, _ in untold} == {"roost/coop-1/door/suggestions"}
    assert len(untold) == 2
    for _, _, message in untold:
        assert is_suggestion(message)
    book.told([untold[0][0]])
    assert book.untold() == untold[1:]
    assert {one.why for one in book.kept() if not one.message} == {
        "names no label",
        "answers no post that is known here",
    }
    kept.close()


def test_the_labels_store_reads_picture_label_and_author_of_a_suggestion(tmp_path: Path) -> None:
    kept = store(tmp_path, VirtualClock())
    kept.commit(Changes([draft(1)]), max_waiting=9)
    kept.posted(1, 0, mode="service", service_id="900", said_ms=None)
    book = ReplyBook(kept, NodeTopics("coop-1"), (), VirtualClock())
    book.fetch(Heard(tmp_path, reply("10", "900", "#raccoon")))
    ((_, _, message),) = book.untold()
    suggestion = decode(message)
    entry = entry_of(suggestion, task="door", node="coop-1")  # type: ignore[arg-type]  # it is one: see above
    assert entry is not None
    assert (entry.kind, entry.label, entry.author, entry.origin) == (
        "suggestion",
        "raccoon",
        "@ann",
        "suggestion:twitter",
    )
    assert (entry.picture, entry.request_id) == ("f" * 64, number(1))
    assert encode(suggestion) == message
    kept.close()
