"""What a request's diagnostics mean to the rendezvous: its fault, and lines about its steps (QA)."""

import logging

from msgspec import structs

from roost_broker.diagnosis import log_step, read, with_overrides
from roost_broker.refusals import Refusals
from roost_rendezvous.mailbox.actions import Answer
from roost_rendezvous.server.results import COMPONENT, Asked

_log = logging.getLogger(__name__)


def diagnosed(asked: Asked, refusals: Refusals, *, qa: bool, schedule_version: str) -> Asked:
    """The question with what was granted of its diagnostics; what was not is counted and told."""
    request = asked.request
    diagnosis = read(request.diagnostics, qa=qa, component=COMPONENT)
    refusals.note(diagnosis, request.request_id)
    if not diagnosis:
        return asked
    log_step(_log, diagnosis, request.request_id, "rendezvous: taken", schedule=schedule_version)
    request = with_overrides(request, diagnosis.overrides(COMPONENT))
    return structs.replace(asked, request=request, diagnosis=diagnosis)


def log_answer(answer: Answer, asked: Asked) -> None:
    """What was decided, and what each model had done by then."""
    models = {
        outcome.model: outcome.status
        if outcome.elapsed_ms is None
        else f"{outcome.status} after {outcome.elapsed_ms:.1f} ms"
        for outcome in answer.outcomes
    }
    log_step(
        _log,
        asked.diagnosis,
        answer.request_id,
        "rendezvous: answers",
        level=logging.INFO,
        cause=answer.cause,
        label=answer.label,
        schedule=answer.schedule_version,
        elapsedMs=round(answer.elapsed_ns / 1e6, 3),
        models=models,
    )
