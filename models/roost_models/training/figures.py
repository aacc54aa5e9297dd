"""How good a model is, by label and by site, as counts with an interval that says how sure they are. Pure."""

from collections.abc import Sequence

from msgspec import Struct

from roost_rendezvous.analytics.binomial import wilson


class Share(Struct, frozen=True, kw_only=True):
    """`right` of `shown`, and between which shares the truth lies (Wilson, 95 %)."""

    right: int
    shown: int
    share: float
    low: float
    high: float


class ByLabel(Struct, frozen=True, kw_only=True):
    """Of the pictures that show it, those found (recall); of those called so, the right ones (precision)."""

    label: str
    found: Share
    right_when_said: Share


class BySite(Struct, frozen=True, kw_only=True):
    """Of one site's pictures."""

    site: str
    right: Share


class Figures(Struct, tag_field="schema", tag="roost.training-figures/1", frozen=True, kw_only=True):
    """Of one bundle on pictures that it was not trained on. `confusion[shown][answered]`, in the order of `labels`."""

    split: str
    right: Share
    labels: list[str]
    by_label: list[ByLabel]
    by_site: list[BySite]
    confusion: list[list[int]]
    runtime: str


class Judged(Struct, frozen=True):
    """One picture: what it shows, what was answered (numbers of labels), where it was taken."""

    shown: int
    answered: int
    site: str


def figures(judged: Sequence[Judged], labels: Sequence[str], *, split: str, runtime: str) -> Figures:
    """Count."""
    confusion = [[0] * len(labels) for _ in labels]
    for one in judged:
        confusion[one.shown][one.answered] += 1
    sites = sorted({one.site for one in judged})
    return Figures(
        split=split,
        right=_share_right(judged),
        labels=list(labels),
        by_label=[
            ByLabel(
                label=label,
                found=share(confusion[n][n], sum(confusion[n])),
                right_when_said=share(confusion[n][n], sum(row[n] for row in confusion)),
            )
            for n, label in enumerate(labels)
        ],
        by_site=[BySite(site=site, right=_share_right([one for one in judged if one.site == site])) for site in sites],
        confusion=confusion,
        runtime=runtime,
    )


def share(right: int, shown: int) -> Share:
    """With Wilson's interval; nothing shown is nothing known: 0 to 1."""
    if shown == 0:
        return Share(right=0, shown=0, share=0.0, low=0.0, high=1.0)
    low, high = wilson(right, shown)
    return Share(right=right, shown=shown, share=round(right / shown, 6), low=round(low, 6), high=round(high, 6))


def _share_right(judged: Sequence[Judged]) -> Share:
    return share(sum(one.shown == one.answered for one in judged), len(judged))
