"""A quorum's voice: when enough of its members have answered a request, it answers with what most of them say."""

from collections.abc import Iterable

from msgspec import Struct


class Vote(Struct, frozen=True, gc=False):
    """What one member answered."""

    label: str
    score: float


class Ballot(Struct, frozen=True, gc=False):
    """The outcome of a vote: labels with their shares of the votes, the winner first, and how sure its voters are."""

    shares: tuple[tuple[str, float], ...]
    score: float
    """Mean score of those who voted for the winner."""
    told: str
    """For people: `3 of 4: 2 hen, 1 egg`."""

    @property
    def label(self) -> str:
        """The winner: most votes, then the higher mean score, then the name."""
        return self.shares[0][0]


def count(votes: Iterable[Vote], members: int) -> Ballot:
    """Count the votes, of which there is at least one; `members` is how many there might have been."""
    scores: dict[str, list[float]] = {}
    for vote in votes:
        scores.setdefault(vote.label, []).append(vote.score)
    mean = {label: sum(given) / len(given) for label, given in scores.items()}
    order = sorted(scores, key=lambda label: (-len(scores[label]), -mean[label], label))
    total = sum(map(len, scores.values()))
    spoken = ", ".join(f"{len(scores[label])} {label}" for label in order)
    return Ballot(
        shares=tuple((label, len(scores[label]) / total) for label in order),
        score=mean[order[0]],
        told=f"{total} of {members}: {spoken}"[:_LONGEST],
    )


_LONGEST = 1000
"""Characters of a reason on the wire."""
