"""From what somebody decides to the entry that says so. Pure; time and ids are arguments."""

from collections.abc import Iterable

from msgspec import structs

from roost_broker.errors import Misuse
from roost_models.labels.entry import Entry, Kind
from roost_models.labels.standing import own


def judge(
    history: Iterable[Entry],
    *,
    entry_id: str,
    now_ms: int,
    author: str,
    picture: str,
    task: str,
    kind: Kind = "label",
    label: str | None = None,
    reason: str = "",
    origin: str = "page",
    node: str = "",
    site: str = "",
    taken: int | None = None,
    request_id: str | None = None,
) -> Entry:
    """An entry that supersedes what its author said of this picture before. `history`: of this picture and task."""
    before = own(history, author)
    try:
        return Entry(
            id=entry_id,
            picture=picture,
            request_id=request_id,
            node=node,
            task=task,
            kind=kind,
            label=label,
            author=author,
            at=now_ms,
            reason=reason,
            origin=origin,
            supersedes=None if before is None else before.id,
            site=site or node,
            taken=taken,
        )
    except ValueError as error:
        raise Misuse(
            f"That is no judgement: {error}.", "Give a label, or not-usable with a reason, or skip."
        ) from error


def undo(history: Iterable[Entry], last: str, *, entry_id: str, now_ms: int, author: str) -> Entry:
    """An entry that takes back this author's entry `last`, and says again what it had superseded, if anything.

    Raises `Misuse` when it is not the newest of theirs that holds.
    """
    entries = {entry.id: entry for entry in history}
    entry = entries.get(last)
    if entry is None or entry.author != author:
        raise Misuse("That is not an entry of yours.", "Only your own last judgement of a picture can be taken back.")
    held = own(entries.values(), author)
    if held is None or held.id != last:
        raise Misuse("That no longer holds: something newer stands in its place.", "Look at the picture's history.")
    before = entries.get(entry.supersedes or "")
    again = before is not None and before.author == author and before.kind in ("label", "not-usable", "skip")
    return structs.replace(
        entry,
        id=entry_id,
        at=now_ms,
        kind=before.kind if again and before else "withdrawn",
        label=before.label if again and before else None,
        reason="undo",
        supersedes=last,
    )
