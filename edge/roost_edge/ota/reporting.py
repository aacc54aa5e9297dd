"""What a device says of its lines: `OtaState` from the machines and the counters. Pure."""

from collections.abc import Iterable, Mapping

from msgspec import structs

from roost_broker.headers import Header
from roost_broker.messages import OtaState, Trial
from roost_broker.messages.fleet import OtaLine, OtaSlot
from roost_broker.version import VERSION
from roost_edge.ota.lines import SLOTS, Line, Slot
from roost_edge.ota.machine import LineMachine
from roost_edge.ota.standing import Standing
from roost_edge.ota.trial import TrialCounter

MAX_PROBLEM = 1000


def report(
    head: Header,
    node: str,
    tags: Mapping[str, str],
    lines: Iterable[tuple[Line, LineMachine, TrialCounter]],
    problem: str,
) -> OtaState:
    """The whole report, not signed yet."""
    return OtaState(
        timestamp=head.timestamp,
        message_id=head.message_id,
        provenance=head.provenance,
        node=node,
        version=VERSION,
        tags=dict(tags),
        lines=[line_report(*one) for one in lines],
        problem=problem[:MAX_PROBLEM],
    )


def line_report(line: Line, machine: LineMachine, counter: TrialCounter) -> OtaLine:
    """One line of it."""
    standing, goal = machine.standing, machine.goal
    done, total = machine.progress
    return OtaLine(
        task=line.task,
        model=line.model,
        bundle=line.bundle,
        phase=machine.phase,
        rollout=goal.rollout if goal is not None else standing.rollout,
        generation=goal.generation if goal is not None else standing.generation,
        wanted=goal.wanted if goal is not None else "",
        bytes_done=done,
        bytes_total=total,
        slots=[_slot(line, standing, slot) for slot in SLOTS if slot in standing.slots],
        trial=_trial(standing, counter),
        problem=machine.problem[:MAX_PROBLEM],
    )


def _slot(line: Line, standing: Standing, slot: Slot) -> OtaSlot:
    content = standing.slots[slot]
    beside = "rejected" if standing.beside == "nothing" else standing.beside
    return OtaSlot(
        slot=slot,
        model=line.name(slot),
        bundle=content.name,
        version=content.version,
        digest=content.digest,
        state="active" if slot == standing.active else beside,
    )


def _trial(standing: Standing, counter: TrialCounter) -> Trial | None:
    """Of the newest bundle: the one in shadow, or the one that took another's place."""
    if standing.beside == "shadow":
        newest, before = standing.other, standing.active
    elif standing.used:
        newest, before = standing.active, standing.other
    else:
        return None
    trial, compared = counter.trial(newest), counter.trial(before)
    if trial is None or compared is None:
        return trial
    return structs.replace(trial, previous_p99_ms=compared.p99_ms)
