"""What a schedule may not be. Each refusal names the field and the remedy; ambiguity is refused, not guessed."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from roost_broker.errors import Misuse
from roost_broker.topics import check_name
from roost_rendezvous.schedule.parts import ANY, MAX_MODELS, MAX_STEPS, Quorum, Refused, Step

if TYPE_CHECKING:
    from roost_rendezvous.schedule.document import Schedule


def check(schedule: "Schedule") -> None:
    """Raise `Refused` for the first thing that cannot be."""
    _check_name("task", schedule.task, "task")
    _check_steps(schedule.steps)
    for name, quorum in schedule.quorum.items():
        _check_quorum(schedule, name, quorum)
    _check_ignore(schedule)
    _check_default(schedule)
    _check_promotions(schedule)
    _check_rank(schedule)
    _check_sample(schedule)


def _check_steps(steps: tuple[Step, ...]) -> None:
    if not 1 <= len(steps) <= MAX_STEPS:
        raise Refused(f"The schedule has {len(steps)} steps.", f"Give it 1 to {MAX_STEPS} [[step]] tables.", "step")
    if steps[0].after_ms != 0:
        raise Refused(
            f"step[0].after_ms is {steps[0].after_ms}: nobody could answer before.",
            "Let the first step begin at 0.",
            *("step", "0", "after_ms"),
        )
    for index, step in enumerate(steps):
        if index and step.after_ms <= steps[index - 1].after_ms:
            raise Refused(
                f"step[{index}].after_ms is {step.after_ms}, not later than the step before.",
                "Give the steps strictly increasing times.",
                *("step", str(index), "after_ms"),
            )
        _check_accept(index, step.accept)
    _check_preference(steps)


def _check_accept(index: int, accept: tuple[str, ...]) -> None:
    where, path = f"step[{index}].accept", ("step", str(index), "accept")
    if not accept:
        raise Refused(f"{where} is empty.", 'Name a model, or "*" for any.', *path)
    if len(set(accept)) != len(accept):
        raise Refused(f"{where} names a model twice.", "Name each model once.", *path)
    if ANY in accept[:-1]:
        raise Refused(
            f'{where} has "*" before a model\'s name, which would leave its preference open.',
            'Put "*" last: named models are preferred to those that only "*" lets in.',
            *path,
        )
    for name in accept:
        if name != ANY:
            _check_name(f"model in {where}", name, *path)


def _check_preference(steps: tuple[Step, ...]) -> None:
    rank: dict[str, int] = {}
    for index, step in enumerate(steps):
        named = [name for name in step.accept if name != ANY]
        for name in named:
            rank.setdefault(name, len(rank))
        if [rank[name] for name in named] != sorted(rank[name] for name in named):
            raise Refused(
                f"step[{index}].accept contradicts the order of preference of earlier steps.",
                "Name models in the order of their first appearance: " + ", ".join(rank) + ".",
                *("step", str(index), "accept"),
            )


def _check_quorum(schedule: "Schedule", name: str, quorum: Quorum) -> None:
    _check_name("quorum", name, "quorum", name)
    where = f"quorum.{name}"
    _check_names(f"{where}.members", quorum.members, "quorum", name, "members")
    nested = sorted(set(quorum.members) & set(schedule.quorum))
    if nested:
        raise Refused(
            f"{where}.members names {nested[0]}, which is a quorum.",
            "Members are models; name the models.",
            *("quorum", name, "members"),
        )
    if len(quorum.members) < 2:
        raise Refused(
            f"{where} has {len(quorum.members)} members.",
            "Name two members or more; one model needs no quorum.",
            *("quorum", name, "members"),
        )
    if (quorum.need is None) == (quorum.share is None):
        raise Refused(f"{where} must say either need or share.", "Write for instance `need = 2`.", "quorum", name)
    if quorum.share is not None and not 0 < quorum.share <= 1:
        raise Refused(
            f"{where}.share is {quorum.share}.",
            "Give a number above 0 and up to 1.",
            *("quorum", name, "share"),
        )
    if not 1 <= quorum.votes <= len(quorum.members):
        raise Refused(
            f"{where}.need is {quorum.need}, of {len(quorum.members)} members.",
            f"Give a count from 1 to {len(quorum.members)}.",
            *("quorum", name, "need"),
        )
    if name not in (*schedule.named, *schedule.rollout, *schedule.random):
        raise Refused(
            f"No step names the quorum {name}: it could never be official.",
            f'Put "{name}" into a step\'s accept, or remove the table.',
            *("quorum", name),
        )


def _check_ignore(schedule: "Schedule") -> None:
    if ANY in schedule.ignore:
        raise Refused('ignore contains "*".', "Name the models to ignore one by one.", "ignore")
    _check_names("ignore", schedule.ignore, "ignore")
    both = sorted(set(schedule.ignore) & set(schedule.named))
    if both:
        raise Refused(
            f"{', '.join(both)}: both accepted by a step and in ignore.",
            "Take the name out of one of the two.",
            "ignore",
        )


def _check_default(schedule: "Schedule") -> None:
    after, last = schedule.default.after_ms, schedule.steps[-1].after_ms
    if after <= last:
        raise Refused(
            f"default.after_ms is {after}, but the last step begins at {last}.",
            "Let the default come after the last step.",
            *("default", "after_ms"),
        )
    if after >= schedule.sla_ms:
        raise Refused(
            f"default.after_ms is {after}, but the SLA is {schedule.sla_ms} ms: the default would come too late.",
            "Leave time for the answer to travel, for instance 5 % of sla_ms.",
            *("default", "after_ms"),
        )


def _check_promotions(schedule: "Schedule") -> None:
    """`[rollout]` and `[random]`: for some requests another model is the preferred one."""
    for name, share in schedule.rollout.items():
        if not 0 <= share <= 1:
            raise Refused(f"rollout.{name} is {share}, not a share.", "Give a number from 0 to 1.", "rollout", name)
        if name in schedule.steps[0].accept:
            raise Refused(
                f"rollout.{name}: the first step accepts {name} for every request already.",
                "Roll out a model that the first step does not name, or remove the line.",
                *("rollout", name),
            )
    for table, chances in (("rollout", schedule.rollout), ("random", schedule.random)):
        for name in chances:
            _check_promoted(schedule, table, name)
    if schedule.rollout and schedule.random:
        raise Refused(
            "The schedule has both [rollout] and [random]: two answers to who is preferred.",
            "Keep one of the two tables.",
            "random",
        )
    if schedule.random:
        _check_lot(schedule.random)
    if len({*schedule.named, *schedule.rollout, *schedule.random}) > MAX_MODELS:
        raise Refused("The schedule names too many models.", f"At most {MAX_MODELS} are possible.", "step")


def _check_promoted(schedule: "Schedule", table: str, name: str) -> None:
    _check_name(f"model in {table}", name, table, name)
    if name in schedule.ignore:
        raise Refused(f"{name}: both in [{table}] and in ignore.", "Take the name out of one of the two.", table, name)
    if len(schedule.steps) < 2:
        raise Refused(
            f"[{table}] needs two steps: in the first the model is preferred, from the second on others may answer.",
            "Add a [[step]] with a later after_ms.",
            table,
        )


def _check_lot(chances: dict[str, float]) -> None:
    for name, chance in chances.items():
        if not 0 < chance < 1:
            raise Refused(f"random.{name} is {chance}, not a chance.", "Give a number between 0 and 1.", "random", name)
    if abs(sum(chances.values()) - 1) > 1e-9:
        raise Refused(
            f"The chances of [random] add up to {sum(chances.values()):g}.", "Let them add up to 1.", "random"
        )


def _check_rank(schedule: "Schedule") -> None:
    rank, named = schedule.rank, schedule.named
    _check_names("rank", rank, "rank")
    ignored = sorted(set(rank) & set(schedule.ignore))
    if ignored:
        raise Refused(
            f"{', '.join(ignored)}: both in rank and in ignore.", "Take the name out of one of the two.", "rank"
        )
    others = [name for name in rank if name not in named]
    if list(rank) != [*(name for name in named if name in rank), *others]:
        raise Refused(
            "rank contradicts the steps, whose order is " + ", ".join(named) + ".",
            'Models that steps name come first and in that order; rank orders those that only "*" lets in.',
            "rank",
        )
    if others and not any(ANY in step.accept for step in schedule.steps):
        raise Refused(
            f"rank names {others[0]}, which no step accepts.", 'Accept "*" in a step, or take the name out.', "rank"
        )


def _check_sample(schedule: "Schedule") -> None:
    if len(schedule.sample) > MAX_MODELS:
        raise Refused("[sample] names too many models.", f"At most {MAX_MODELS} are possible.", "sample")
    for name, share in schedule.sample.items():
        _check_name("model in sample", name, "sample", name)
        if not 0 < share < 1:
            raise Refused(
                f"sample.{name} is {share}.",
                "Give a number between 0 and 1; a model without a line here evaluates every request.",
                *("sample", name),
            )
        if name in schedule.quorum:
            raise Refused(
                f"sample.{name}: {name} is a quorum.", "Sample its members, each with its own line.", "sample", name
            )
        if name in schedule.rollout or name in schedule.random:
            raise Refused(
                f"sample.{name}: the model is also promoted by [rollout] or [random], and would be preferred for "
                "requests that it is not asked about.",
                "Take the name out of one of the two tables.",
                *("sample", name),
            )


def _check_names(where: str, names: Iterable[str], *path: str) -> None:
    names = tuple(names)
    if len(names) > MAX_MODELS:
        raise Refused(f"{where} names {len(names)} models.", f"At most {MAX_MODELS} are possible.", *path)
    if len(set(names)) != len(names):
        raise Refused(f"{where} names a model twice.", "Name each model once.", *path)
    for name in names:
        _check_name(f"model in {where}", name, *path)


def _check_name(kind: str, name: str, *path: str) -> None:
    try:
        check_name(kind, name)
    except Misuse as error:
        raise Refused(error.problem, error.remedy, *path) from error
