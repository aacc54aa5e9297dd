"""The schedule: which model is preferred, for how long, what is accepted after that, and when a default is given.

A schedule is data (Dunning & Friedman, ch. 3 "Rendezvous Style", and the webinar's "rendezvous schedule"):

    task = "henhouse"
    sla_ms = 2000                                 # an official result is on the return address by then
    ignore = ["canary"]                           # never official, whatever a step accepts
    [[step]]
    after_ms = 0
    accept = ["champion"]                         # exclusive time of the preferred model
    [[step]]
    after_ms = 1200
    accept = ["champion", "fast", "*"]            # "*" is any other model that is not ignored
    [default]
    after_ms = 1900
    label = "unknown"

Steps add up: what one step accepts, every later one accepts too. Preference is the order of first appearance
over the steps; models that only "*" lets in come last, by name. What is ambiguous is refused, not guessed.
"""

import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta, Struct, field

from roost_broker.errors import Misuse
from roost_broker.topics import check_name

ANY = "*"
MAX_MODELS = 64
"""Most models one schedule may name."""
MAX_STEPS = 32

_encoder = msgspec.json.Encoder(order="sorted")


class Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From `after_ms` on, the models of `accept` may be official too, in this order of preference."""

    after_ms: Annotated[int, Meta(ge=0)]
    accept: tuple[str, ...]


class Default(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The safe constant given when no accepted model has answered after `after_ms`."""

    after_ms: Annotated[int, Meta(ge=0)]
    label: Annotated[str, Meta(min_length=1, max_length=200)]


class Schedule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole schedule; a value that exists is valid. Raises `Misuse` when it cannot be."""

    task: str
    sla_ms: Annotated[int, Meta(ge=1, le=3_600_000)]
    steps: tuple[Step, ...] = field(name="step")
    default: Default
    ignore: tuple[str, ...] = ()
    rollout: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name("task", self.task)
        _check_steps(self.steps)
        _check_ignore(self)
        _check_default(self)
        _check_rollout(self.rollout)

    @property
    def named(self) -> tuple[str, ...]:
        """Models named by any step, most preferred first."""
        return tuple(dict.fromkeys(m for step in self.steps for m in step.accept if m != ANY))

    @property
    def version(self) -> str:
        """Short content hash: equal schedules have equal versions wherever they came from."""
        return hashlib.sha256(_encoder.encode(to_object(self))).hexdigest()[:12]


def parse(loose: object) -> Schedule:
    """Read a schedule from decoded TOML or JSON. Raises `Misuse` with the field and the remedy."""
    if isinstance(loose, dict) and isinstance(loose.get("rollout"), dict) and "ignore" in loose["rollout"]:
        raise Misuse(
            "The schedule's field ignore stands inside [rollout].",
            "In TOML a plain field belongs above the first [table]: move the line `ignore = …` to the top.",
        )
    try:
        return msgspec.convert(loose, Schedule)
    except msgspec.ValidationError as error:
        raise Misuse(
            f"The schedule cannot be used: {error}.",
            "A schedule has task, sla_ms, [[step]] (after_ms, accept), [default] (after_ms, label) and ignore.",
        ) from error


def load(path: Path) -> Schedule:
    """Read a schedule from a TOML file. Raises `Misuse`."""
    try:
        loose = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Misuse(f"The schedule {path} cannot be read: {error}.", "Name a readable TOML file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misuse(f"The schedule {path} is not TOML: {error}.", "Mend the line named.") from error
    try:
        return parse(loose)
    except Misuse as error:
        raise Misuse(f"{path}: {error.problem}", error.remedy) from error


def to_object(schedule: Schedule) -> dict[str, Any]:
    """The schedule as plain values, as `parse` reads them; what the retained topic carries."""
    return cast("dict[str, Any]", msgspec.to_builtins(schedule))


def explain(schedule: Schedule) -> list[str]:
    """One sentence for each thing the schedule will do, in order of time."""
    lines: list[str] = []
    known: list[str] = []
    for step in schedule.steps:
        fresh = [_spoken(name) for name in step.accept if name not in known]
        known.extend(name for name in step.accept if name not in known)
        if not fresh:
            continue
        if not lines:
            lines.append(f"From the start {_listed(fresh)} may answer, and nobody else.")
        else:
            lines.append(f"From {step.after_ms} ms on {_listed(fresh)} may answer too, if nothing better is there.")
    lines.append("An answer is official earlier when nothing better can still come.")
    lines.append(
        f"At {schedule.default.after_ms} ms the default {schedule.default.label!r} is given; "
        f"the promise (SLA) is {schedule.sla_ms} ms."
    )
    if schedule.ignore:
        lines.append(f"Never official: {', '.join(schedule.ignore)}.")
    return lines


def _spoken(name: str) -> str:
    return "any other model" if name == ANY else name


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _check_steps(steps: tuple[Step, ...]) -> None:
    if not 1 <= len(steps) <= MAX_STEPS:
        raise Misuse(f"The schedule has {len(steps)} steps.", f"Give it 1 to {MAX_STEPS} [[step]] tables.")
    if steps[0].after_ms != 0:
        raise Misuse(
            f"step[0].after_ms is {steps[0].after_ms}: nobody could answer before.",
            "Let the first step begin at 0.",
        )
    for index, step in enumerate(steps):
        if index and step.after_ms <= steps[index - 1].after_ms:
            raise Misuse(
                f"step[{index}].after_ms is {step.after_ms}, not later than the step before.",
                "Give the steps strictly increasing times.",
            )
        _check_accept(index, step.accept)
    _check_preference(steps)


def _check_accept(index: int, accept: tuple[str, ...]) -> None:
    where = f"step[{index}].accept"
    if not accept:
        raise Misuse(f"{where} is empty.", 'Name a model, or "*" for any.')
    if len(set(accept)) != len(accept):
        raise Misuse(f"{where} names a model twice.", "Name each model once.")
    if ANY in accept[:-1]:
        raise Misuse(
            f'{where} has "*" before a model\'s name, which would leave its preference open.',
            'Put "*" last: named models are preferred to those that only "*" lets in.',
        )
    for name in accept:
        if name != ANY:
            check_name(f"model in {where}", name)


def _check_preference(steps: tuple[Step, ...]) -> None:
    rank: dict[str, int] = {}
    for index, step in enumerate(steps):
        named = [name for name in step.accept if name != ANY]
        for name in named:
            rank.setdefault(name, len(rank))
        if [rank[name] for name in named] != sorted(rank[name] for name in named):
            raise Misuse(
                f"step[{index}].accept contradicts the order of preference of earlier steps.",
                "Name models in the order of their first appearance: " + ", ".join(rank) + ".",
            )
    if len(rank) > MAX_MODELS:
        raise Misuse(f"The schedule names {len(rank)} models.", f"At most {MAX_MODELS} are possible.")


def _check_ignore(schedule: Schedule) -> None:
    if len(schedule.ignore) > MAX_MODELS:
        raise Misuse(f"ignore names {len(schedule.ignore)} models.", f"At most {MAX_MODELS} are possible.")
    for name in schedule.ignore:
        if name == ANY:
            raise Misuse('ignore contains "*".', "Name the models to ignore one by one.")
        check_name("model in ignore", name)
    both = sorted(set(schedule.ignore) & set(schedule.named))
    if both:
        raise Misuse(
            f"{', '.join(both)}: both accepted by a step and in ignore.", "Take the name out of one of the two."
        )


def _check_default(schedule: Schedule) -> None:
    after, last = schedule.default.after_ms, schedule.steps[-1].after_ms
    if after <= last:
        raise Misuse(
            f"default.after_ms is {after}, but the last step begins at {last}.",
            "Let the default come after the last step.",
        )
    if after >= schedule.sla_ms:
        raise Misuse(
            f"default.after_ms is {after}, but the SLA is {schedule.sla_ms} ms: the default would come too late.",
            "Leave time for the answer to travel, for instance 5 % of sla_ms.",
        )


def _check_rollout(rollout: dict[str, float]) -> None:
    for name, share in rollout.items():
        check_name("model in rollout", name)
        if not 0 <= share <= 1:
            raise Misuse(f"rollout.{name} is {share}, not a share.", "Give a number from 0 to 1.")
    if rollout:
        raise Misuse(
            "[rollout] is not supported yet: no cohort would see a different schedule.",
            "Remove the table; this version gives every request the same schedule.",
        )
