"""The five phases of a bundle: which follows which, and what must be shown before. Pure; `lifecycle_log` keeps it.

The book's phases (ch. 6): a bundle is developed, runs beside the others unheard (preproduction), answers (production),
stays as a fallback when a better one answers (post-production), and is retired.

Rules:

* What is not in the table is refused, and the refusal names what is legal.
* A bundle leaves development only with the digest of an assessment report, or with the reason why there is none.
* Nothing that is still named is retired: by a roll-out that is not over, by a schedule, as a canary.
* Nothing is taken back: an entry stands for ever, and a wrong one is put right by another.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta, Struct, field

from roost_broker.errors import Malformed, Misuse
from roost_models.rollout.document import BundleRef, Name, Rollout, Text

Phase: TypeAlias = Literal["development", "preproduction", "production", "post-production", "retirement"]
PHASES: tuple[Phase, ...] = get_args(Phase)
MAX_LINE = 65_536

TRANSITIONS: dict[Phase | None, tuple[Phase, ...]] = {
    None: ("development",),
    "development": ("preproduction",),
    "preproduction": ("production", "retirement"),
    "production": ("post-production",),
    "post-production": ("production", "retirement"),
    "retirement": (),
}
"""What may follow. From post-production back to production is the way of a roll-back, and of a second attempt."""

REPORT = "report"
"""Key of the evidence that lets a bundle leave development: SHA-256 of its assessment report."""
WITHOUT = "without-evaluation"
"""Key of the evidence that says why there is no report."""


class Entry(Struct, tag_field="schema", tag="roost.lifecycle/1", frozen=True, kw_only=True, omit_defaults=True):
    """One line of the log. An entry whose phase is the one before only adds evidence."""

    at_ms: Annotated[int, Meta(ge=0)]
    task: Name
    bundle: BundleRef
    phase: Phase
    before: Phase | None = None
    author: Annotated[str, Meta(min_length=1, max_length=1000)]
    why: Text = ""
    evidence: Annotated[dict[Name, Text], Meta(max_length=32)] = field(default_factory=dict)
    """What it rests on: digests of reports, ids of roll-outs."""


class NotLegal(Misuse):
    """A transition that is not in the table, or whose condition is not met."""


def phase_of(entries: Iterable[Entry], digest: str) -> Phase | None:
    """Where this bundle stands; None: it was never heard of."""
    last: Phase | None = None
    for entry in entries:
        if entry.bundle.digest == digest:
            last = entry.phase
    return last


def moved(
    entries: Sequence[Entry],
    task: str,
    bundle: BundleRef,
    to: Phase,
    *,
    author: str,
    at_ms: int,
    why: str = "",
    evidence: Mapping[str, str] | None = None,
    in_use: Sequence[str] = (),
) -> Entry:
    """The entry that moves this bundle. Raises `NotLegal` with what would be legal.

    `in_use` says where it is still named, a sentence each; it counts only for retirement.
    """
    before = phase_of(entries, bundle.digest)
    label = f"{bundle.name} {bundle.version}"
    if not author:
        raise NotLegal(f"Nobody says who moves {label}.", "Give an author.")
    legal = TRANSITIONS[before]
    if to not in legal:
        there = "is not in the life cycle yet" if before is None else f"is in {before}"
        can = " or ".join(legal) if legal else "no further phase; retirement is the end"
        raise NotLegal(f"{label} {there}; it cannot go to {to}.", f"From there it can go to {can}.")
    shown = dict(evidence or {})
    if before == "development" and not shown.get(REPORT) and not shown.get(WITHOUT):
        raise NotLegal(
            f"{label} cannot leave development: there is no assessment report.",
            "Make one with roost evaluate, or say why there is none: --without-evaluation WHY.",
        )
    if to == "retirement" and in_use:
        raise NotLegal(
            f"{label} cannot be retired: {'; '.join(in_use)}.", "Take it out of there first, then retire it."
        )
    return Entry(at_ms=at_ms, task=task, bundle=bundle, phase=to, before=before, author=author, why=why, evidence=shown)


def noted(
    entries: Sequence[Entry],
    task: str,
    bundle: BundleRef,
    *,
    author: str,
    at_ms: int,
    why: str,
    evidence: Mapping[str, str] | None = None,
) -> Entry:
    """An entry that adds evidence and moves nothing: a roll-out that was halted in shadow. Raises `NotLegal`."""
    before = phase_of(entries, bundle.digest)
    if before is None:
        raise NotLegal(f"{bundle.name} {bundle.version} is not in the life cycle yet.", "Publish it first.")
    return Entry(
        at_ms=at_ms,
        task=task,
        bundle=bundle,
        phase=before,
        before=before,
        author=author,
        why=why,
        evidence=dict(evidence or {}),
    )


class Named(Struct, frozen=True, kw_only=True):
    """A model of a device that a schedule names, or that runs as a canary."""

    node: str
    task: str
    model: str
    digest: str
    place: str
    """`schedule`, `canary`, or the state of its slot."""


def uses(bundle: BundleRef, rollouts: Iterable[Rollout], named: Iterable[Named] = ()) -> list[str]:
    """Where this bundle is still named, a sentence each; at most ten of the devices are listed."""
    found = []
    for document in rollouts:
        if document.state not in ("running", "paused"):
            continue
        if document.bundle.digest == bundle.digest:
            found.append(f"roll-out {document.rollout_id} ({document.state}) brings it")
        elif document.previous is not None and document.previous.digest == bundle.digest:
            found.append(f"roll-out {document.rollout_id} ({document.state}) would go back to it")
    places = [one for one in named if one.digest == bundle.digest]
    found += [f"{one.node} names it as {one.model} of {one.task} ({one.place})" for one in places[:10]]
    if len(places) > 10:
        found.append(f"{len(places) - 10} more devices name it")
    return found


_decoder = msgspec.json.Decoder(Entry)


def parse(line: bytes) -> Entry:
    """Read one line of the log. Raises `Malformed`."""
    if len(line) > MAX_LINE:
        raise Malformed(f"A line of {len(line)} bytes in the life cycle is over the limit of {MAX_LINE}.")
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Malformed(f"Not an entry of the life cycle: {error}.") from error


def render(entry: Entry) -> bytes:
    """One line, with its end."""
    return msgspec.json.encode(entry) + b"\n"
