"""What holds of a picture, from all that was ever said of it. Pure.

1. An entry that another one supersedes no longer holds, whoever wrote the other one.
2. Of an author's verdicts that still hold the newest counts (by time, then id).
3. Authors may disagree: then the picture is in conflict, and everybody can see who says what.
4. A suggestion is pending until somebody judges the picture; a verdict that is taken back makes it pending again.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from roost_models.labels.entry import Entry


@dataclass(frozen=True, slots=True)
class Standing:
    """Of one picture and task."""

    verdicts: tuple[Entry, ...] = ()
    """One for each author who has one, by name."""
    pending: tuple[Entry, ...] = ()
    """Suggestions nobody has judged, oldest first."""
    skipped_by: frozenset[str] = frozenset()

    @property
    def agreed(self) -> Entry | None:
        """The newest verdict, if all say the same."""
        same = {(entry.kind, entry.label) for entry in self.verdicts}
        return max(self.verdicts, key=_age) if len(same) == 1 else None

    @property
    def conflict(self) -> bool:
        """Whether authors disagree."""
        return bool(self.verdicts) and self.agreed is None

    @property
    def told(self) -> str:
        """Who says what, in one line."""
        return "; ".join(f"{one.author}: {one.label or one.kind}" for one in self.verdicts)


def standing(entries: Iterable[Entry]) -> Standing:
    """What holds, from the entries of one picture and task in any order."""
    ordered = sorted(entries, key=_age)
    gone = {entry.supersedes for entry in ordered if entry.supersedes is not None}
    holding = [entry for entry in ordered if entry.id not in gone]
    verdicts = {entry.author: entry for entry in holding if entry.verdict}
    pending = () if verdicts else tuple(entry for entry in holding if entry.kind == "suggestion")
    skipped = frozenset(entry.author for entry in holding if entry.kind == "skip" and entry.author not in verdicts)
    return Standing(tuple(verdicts[author] for author in sorted(verdicts)), pending, skipped)


def own(entries: Iterable[Entry], author: str) -> Entry | None:
    """What this author's next entry supersedes: the newest of theirs that still holds and is no suggestion."""
    ordered = sorted(entries, key=_age)
    gone = {entry.supersedes for entry in ordered if entry.supersedes is not None}
    mine = [one for one in ordered if one.author == author and one.id not in gone and one.kind in _MINE]
    return mine[-1] if mine else None


_MINE = ("label", "not-usable", "skip")


def _age(entry: Entry) -> tuple[int, str]:
    return entry.at, entry.id
