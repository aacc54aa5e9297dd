"""What a schedule will do, in plain sentences."""

from roost_rendezvous.schedule.document import Schedule
from roost_rendezvous.schedule.parts import ANY


def explain(schedule: Schedule) -> list[str]:
    """One sentence for each thing the schedule will do, in order of time."""
    lines = _steps(schedule)
    lines.append("An answer is official earlier when nothing better can still come.")
    lines.append(
        f"At {schedule.default.after_ms} ms the default {schedule.default.label!r} is given; "
        f"the promise (SLA) is {schedule.sla_ms} ms."
    )
    lines += _rank(schedule) + _rollout(schedule) + _random(schedule) + _quorums(schedule) + _samples(schedule)
    if schedule.ignore:
        lines.append(f"Never official: {', '.join(schedule.ignore)}.")
    return lines


def _steps(schedule: Schedule) -> list[str]:
    lines: list[str] = []
    known: list[str] = []
    for step in schedule.steps:
        fresh = [_spoken(schedule, name) for name in step.accept if name not in known]
        known.extend(name for name in step.accept if name not in known)
        if not fresh:
            continue
        if not lines:
            lines.append(f"From the start {_listed(fresh)} may answer, and nobody else.")
        else:
            lines.append(f"From {step.after_ms} ms on {_listed(fresh)} may answer too, if nothing better is there.")
    return lines


def _rank(schedule: Schedule) -> list[str]:
    others = [name for name in schedule.rank if name not in schedule.named]
    if not others:
        return []
    return [f"Among the other models {', then '.join(others)} is preferred, then the rest by name."]


def _rollout(schedule: Schedule) -> list[str]:
    tag = schedule.cohort_tag
    return [
        f"For {_percent(share)} of the values of the tag {tag!r} {name} is the preferred model and has the time until "
        f"{schedule.steps[1].after_ms} ms to itself; a request without that tag is judged by its id."
        for name, share in schedule.rollout.items()
    ]


def _random(schedule: Schedule) -> list[str]:
    if not schedule.random:
        return []
    chances = ", ".join(f"{name} {_percent(chance)}" for name, chance in schedule.random.items())
    return [
        f"Each request draws its preferred model by lot ({chances}), which has the time until "
        f"{schedule.steps[1].after_ms} ms to itself; the result says which it was, and its chance."
    ]


def _quorums(schedule: Schedule) -> list[str]:
    return [
        f"{name} answers as soon as {quorum.votes} of {', '.join(quorum.members)} have: with the label of most votes."
        for name, quorum in schedule.quorum.items()
    ]


def _samples(schedule: Schedule) -> list[str]:
    return [
        f"{name} evaluates {_percent(share)} of the requests, chosen by their ids; for the others nobody waits for it."
        for name, share in schedule.sample.items()
    ]


def _spoken(schedule: Schedule, name: str) -> str:
    if name == ANY:
        return "any other model"
    return f"the quorum {name}" if name in schedule.quorum else name


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _percent(share: float) -> str:
    return f"{share * 100:.6g} %"
