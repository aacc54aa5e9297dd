"""Suggestions from outside become entries of the store: pending, never labels by themselves."""

from collections.abc import Iterable, Iterator

from roost_broker import messages
from roost_broker.errors import Malformed
from roost_broker.messages import Suggestion
from roost_models.archive.cases import CaseSource
from roost_models.labels.entry import Entry
from roost_models.labels.store import Added, LabelStore

_TOPIC_END = "/suggestions"


def entry_of(suggestion: Suggestion, *, task: str, node: str = "") -> Entry | None:
    """The entry that says so; None when it names neither a picture nor a request. Its id is the message's."""
    if suggestion.frame is None and suggestion.request_id is None:
        return None
    return Entry(
        id=suggestion.message_id,
        picture=suggestion.frame,
        request_id=suggestion.request_id,
        node=node,
        task=task,
        kind="suggestion",
        label=suggestion.label,
        author=(suggestion.author or "somebody")[:100],
        at=suggestion.at or suggestion.timestamp,
        reason=suggestion.reason,
        origin=f"suggestion:{suggestion.source or 'unknown'}"[:1000],
    )


def take(store: LabelStore, said: Iterable[tuple[bytes, str]], *, task: str) -> tuple[Added, int]:
    """Write down every suggestion among these messages (payload and node); also how many were none.

    One that is known, by its message's id, is known, whatever else it says: a stranger cannot stop the others.
    """
    entries: dict[str, Entry] = {}
    known = others = 0
    for payload, node in said:
        entry = _entry(payload, task, node)
        if entry is None:
            others += 1
        elif entry.id in entries or store.entry(entry.id) is not None:
            known += 1
        else:
            entries[entry.id] = entry
    added = store.add(entries.values())
    return Added(added.new, known + added.known), others


def archived(source: CaseSource, task: str, from_ms: int | None = None) -> Iterator[tuple[bytes, str]]:
    """Suggestions that reached the centre, with their nodes; a decoy's archive has none."""
    from roost_models.central.reading import CentralArchive, Choice

    if isinstance(source, CentralArchive):
        for message in source.rows(Choice(task=task, lanes=frozenset({"extras"}), from_ms=from_ms)):
            if message.topic.endswith(_TOPIC_END):
                yield message.payload, message.node


def is_suggestion(payload: bytes) -> bool:
    """Whether this is a `Suggestion` message."""
    try:
        return isinstance(messages.decode(payload), Suggestion)
    except Malformed:
        return False


def _entry(payload: bytes, task: str, node: str) -> Entry | None:
    try:
        message = messages.decode(payload)
    except Malformed:
        return None
    return entry_of(message, task=task, node=node) if isinstance(message, Suggestion) else None
