"""What is odd about a schedule and may be meant: names that nobody bears, models that are never official. Pure.

Nothing here refuses: a model may come after the schedule that names it.
"""

import difflib
from collections.abc import Collection

from roost_rendezvous.schedule.document import Schedule
from roost_rendezvous.schedule.parts import ANY


def places(schedule: Schedule) -> dict[str, list[str]]:
    """Each model that the schedule names, with where; quorums are none, their members are."""
    found: dict[str, list[str]] = {}
    for step in schedule.steps:
        _note(found, f"the step at {step.after_ms} ms", step.accept)
    for table in ("rollout", "random", "sample"):
        _note(found, f"[{table}]", getattr(schedule, table))
    for name, quorum in schedule.quorum.items():
        _note(found, f"the quorum {name}", quorum.members)
    for field in ("rank", "ignore"):
        _note(found, field, getattr(schedule, field))
    return {name: where for name, where in found.items() if name != ANY and name not in schedule.quorum}


def unknown(schedule: Schedule, known: Collection[str]) -> list[str]:
    """The names that are none of the models known."""
    return [name for name in places(schedule) if name not in known]


def about_names(schedule: Schedule, known: Collection[str], *, broker_asked: bool) -> list[str]:
    """A sentence for each name that is none of the models known, and one more if nobody could answer at all.

    `known` are the models of the settings and, with `broker_asked`, those that have a state on the topics.
    """
    where = places(schedule)
    strangers = unknown(schedule, known)
    source = "neither the settings nor the broker know it" if broker_asked else "the settings do not know it"
    doubts = [
        f"The task {schedule.task} has no model {name}, which {_listed(where[name])} "
        f"name{'s' if len(where[name]) == 1 else ''}: {source}.{_meant(name, known)}"
        for name in strangers
    ]
    if strangers and not _somebody(schedule, known):
        doubts.append("No model that the schedule accepts is known: until one comes, every request gets the default.")
    return doubts


def never_official(schedule: Schedule, model: str) -> bool:
    """Whether a model is only in `[sample]`: asked now and then, accepted by nothing, and not said to be ignored."""
    if model not in schedule.sample or model in schedule.ignore or _anybody(schedule):
        return False
    return model not in schedule.models


def about_samples(schedule: Schedule) -> list[str]:
    """A sentence for each model that is sampled and can never be official."""
    return [
        f'sample.{name}: {name} can never be official, for no step accepts it or "*". If that is meant, say so with '
        f'ignore = ["{name}"].'
        for name in schedule.sample
        if never_official(schedule, name)
    ]


def _note(found: dict[str, list[str]], where: str, names: Collection[str]) -> None:
    for name in names:
        found.setdefault(name, []).append(where)


def _anybody(schedule: Schedule) -> bool:
    return any(ANY in step.accept for step in schedule.steps)


def _somebody(schedule: Schedule, known: Collection[str]) -> bool:
    """Whether any model known may be official."""
    return not set(schedule.models).isdisjoint(known) or (
        _anybody(schedule) and not set(known).issubset(schedule.ignore)
    )


def _meant(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]}?" if close else ""


def _listed(where: list[str]) -> str:
    return where[0] if len(where) == 1 else f"{', '.join(where[:-1])} and {where[-1]}"
