"""The schedule in force, derived from the operator's and from how the lines stand. Pure.

The operator's schedule names each line by its model's name and knows nothing of slots. Derived from it:

1. The name becomes that of the slot that answers, everywhere.
2. A fallback is accepted one step after the one that answers, directly behind what may answer by then. Where that was
   the last step, a new one begins half way to the default.
3. Any other slot that was ever filled is in `ignore`: a shadow, and what is just being ended.
4. A model that only `*` lets in, a canary, or a member of a quorum alone has no fallback: its other slot is ignored.
5. What `[sample]` asks of the model it asks of both slots, so that they see the same requests.

A line whose second slot was never filled changes nothing.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec import structs

from roost_edge.ota.lines import Line, slot_name
from roost_edge.ota.standing import Standing
from roost_rendezvous.schedule import Schedule
from roost_rendezvous.schedule.parts import ANY, Default, Step


class _Names(NamedTuple):
    model: str
    active: str
    other: str
    fallback: bool


def operators(schedule: Schedule, lines: Iterable[Line]) -> Schedule:
    """What an operator means who names slots (because that is what was in force): the lines' own names again."""
    for line in lines:
        # Only the agent ignores slot b; the line's own name may be in `ignore` because it is a canary.
        ignore = tuple(name for name in schedule.ignore if name != line.name("b"))
        schedule = _renamed(structs.replace(schedule, ignore=ignore), {line.name("b"): line.model})
    return schedule


def effective(schedule: Schedule, standings: Mapping[Line, Standing]) -> Schedule:
    """`schedule` is the operator's. Raises `Misuse` when the two cannot go together."""
    for line, standing in sorted(standings.items(), key=lambda pair: pair[0]):
        if line.task == schedule.task and standing.used:
            schedule = _with_line(schedule, line, standing)
    return schedule


def _with_line(schedule: Schedule, line: Line, standing: Standing) -> Schedule:
    active, other = slot_name(line.model, standing.active), slot_name(line.model, standing.other)
    named = line.model in schedule.named
    schedule = _renamed(schedule, {line.model: active})
    fallback = named and standing.beside == "fallback"
    sample = dict(schedule.sample)
    if active in sample and other not in sample:
        sample[other] = sample[active]
    ignore = schedule.ignore if fallback or other in schedule.ignore else (*schedule.ignore, other)
    steps = _with_fallback(schedule.steps, schedule.default, active, other) if fallback else schedule.steps
    rank = _ranked(schedule.rank, steps, active, other) if fallback else schedule.rank
    return structs.replace(schedule, steps=steps, ignore=ignore, sample=sample, rank=rank)


def _with_fallback(steps: tuple[Step, ...], default: Default, active: str, other: str) -> tuple[Step, ...]:
    first = next(index for index, step in enumerate(steps) if active in step.accept)
    if first + 1 == len(steps):
        after_ms = steps[first].after_ms + max(1, (default.after_ms - steps[first].after_ms) // 2)
        if after_ms >= default.after_ms:  # no room for a step: accepted together with the one that answers
            return (*steps[:first], _inserted(steps, first, other, behind=active))
        earlier = tuple(dict.fromkeys(name for step in steps for name in step.accept if name != ANY))
        anybody = (ANY,) if any(ANY in step.accept for step in steps) else ()
        return (*steps, Step(after_ms=after_ms, accept=(*earlier, other, *anybody)))
    later = first + 1
    return (*steps[:later], _inserted(steps, later, other), *steps[later + 1 :])


def _inserted(steps: tuple[Step, ...], index: int, other: str, behind: str = "") -> Step:
    """Step `index` with `other` behind `behind`, or behind the last name that an earlier step accepts."""
    accept = steps[index].accept
    earlier = {name for step in steps[:index] for name in step.accept if name != ANY}
    known = [place for place, name in enumerate(accept) if name in earlier or name == behind]
    place = known[-1] + 1 if known else 0
    return structs.replace(steps[index], accept=(*accept[:place], other, *accept[place:]))


def _ranked(rank: tuple[str, ...], steps: tuple[Step, ...], active: str, other: str) -> tuple[str, ...]:
    """`rank` in the order of the steps, where it names the line's model."""
    if active not in rank:
        return rank
    named = [name for step in steps for name in step.accept if name != ANY]
    order = [name for name in dict.fromkeys(named) if name in rank or name == other]
    return (*order, *(name for name in rank if name not in order))


def _renamed(schedule: Schedule, names: Mapping[str, str]) -> Schedule:
    """Every model called by its new name; where two names become one, the first place counts."""

    def one(name: str) -> str:
        return names.get(name, name)

    def each(some: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(map(one, some)))

    def shares(some: Mapping[str, float]) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, share in some.items():
            found.setdefault(one(name), share)
        return found

    steps = tuple(structs.replace(step, accept=each(step.accept)) for step in schedule.steps)
    accepted = {name for step in steps for name in step.accept}
    renamed = {name for name in names.values() if name in accepted}
    return structs.replace(
        schedule,
        steps=steps,
        # A slot that was ignored is the operator's model as soon as a step accepts it.
        ignore=tuple(name for name in each(schedule.ignore) if name not in renamed),
        rank=each(schedule.rank),
        rollout=shares(schedule.rollout),
        random=shares(schedule.random),
        sample=shares(schedule.sample),
        quorum={
            name: structs.replace(quorum, members=each(quorum.members)) for name, quorum in schedule.quorum.items()
        },
    )
