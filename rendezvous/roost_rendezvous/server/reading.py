"""Deliveries made into the core's events. Everything here is somebody else's word: checked, never believed.

Raises `PeerError` (its kinds are `Malformed` and `AddressRefused`) for what cannot be used; such a message goes to
the dead letters and disturbs nobody else.
"""

from roost_broker.bus import Delivery
from roost_broker.errors import Malformed, Misuse, PeerError
from roost_broker.messages import Declined, ModelState, Request, ScheduleSet, Score, Token, decode
from roost_broker.topics import TaskTopics, check_name, last_level, model_of_state_topic
from roost_rendezvous import schedule
from roost_rendezvous.mailbox.events import DeclinedArrived, ModelGone, ModelUp, ModelWord, RequestArrived, ScoreArrived
from roost_rendezvous.schedule import Schedule
from roost_rendezvous.server.addresses import check_address
from roost_rendezvous.server.results import Asked


def read_input(delivery: Delivery, topics: TaskTopics) -> Asked | Token:
    """A request of the input stream, its addresses checked; or a token of a hand-over."""
    message = decode(delivery.payload)
    if not isinstance(message, Request):
        if isinstance(message, Token):
            return message
        raise _odd(message, "an input topic")
    base = topics.device.base
    check_address(base, message.return_address)
    if delivery.response_topic is not None:
        check_address(base, delivery.response_topic)
    return Asked(message, delivery.response_topic, delivery.correlation_data, size=len(delivery.payload))


def to_event(asked: Asked, boot: str, now: int, override: Schedule | None) -> RequestArrived:
    """The core's view: its age counts from the issue when this same boot issued it, else from now."""
    request = asked.request
    issued = request.issued
    return RequestArrived(
        message_id=request.message_id,
        request_id=request.request_id,
        opened_ns=issued.monotonic_ns if issued is not None and issued.boot == boot else now,
        deadline_ms=request.deadline_ms,
        override=override,
        tags=request.tags,
        attempt=issued.attempt if issued is not None else 1,
        context=asked,
        size=asked.size,
    )


def read_word(delivery: Delivery) -> ModelWord | Token:
    """A score or a decline, or a token passed on. Its topic says whose; a message that says otherwise is refused."""
    message = decode(delivery.payload)
    if isinstance(message, Token):
        return message
    if not isinstance(message, Score | Declined):
        raise _odd(message, "a scores topic")
    _same_model(last_level(delivery.topic), message.model)
    if isinstance(message, Declined):
        return DeclinedArrived(
            message_id=message.message_id,
            request_id=message.request_id,
            model=message.model,
            version=message.version,
            reason=message.reason,
            size=len(delivery.payload),
        )
    best = message.outputs[0]
    return ScoreArrived(
        message_id=message.message_id,
        request_id=message.request_id,
        model=message.model,
        version=message.version,
        label=best.label,
        score=best.score,
        context=message,
        size=len(delivery.payload),
    )


def read_state(delivery: Delivery) -> ModelUp | ModelGone:
    """A model's retained state; an empty payload (the topic was cleared) means that the model was removed."""
    model = model_of_state_topic(delivery.topic)
    if not delivery.payload:
        _check_model(model)
        return ModelGone(
            message_id="", model=model, replica=_replica(delivery.topic), session=_NEWEST, reason="removed"
        )
    message = decode(delivery.payload)
    if not isinstance(message, ModelState):
        raise _odd(message, "a model's state topic")
    _same_model(model, message.model)
    replica = _replica(delivery.topic)
    if message.replica != replica:
        raise Malformed(f"A state of replica {message.replica} on the topic of replica {replica}.")
    if message.state == "ready":
        return ModelUp(
            message_id=message.message_id,
            model=model,
            replica=replica,
            session=message.session,
            version=message.version,
        )
    return ModelGone(
        message_id=message.message_id,
        model=model,
        replica=replica,
        session=message.session,
        version=message.version,
        reason=message.state,
    )


def read_schedule(delivery: Delivery, task: str) -> tuple[ScheduleSet, Schedule]:
    """A schedule from the retained topic, validated. Raises `PeerError` with the reason."""
    message = decode(delivery.payload)
    if not isinstance(message, ScheduleSet):
        raise _odd(message, "a schedule topic")
    return message, parse_for(task, message.schedule)


def parse_for(task: str, loose: object) -> Schedule:
    """A schedule that came in a message, if it is valid and meant for this task. Raises `PeerError`."""
    try:
        agreed = schedule.parse(loose)
    except Misuse as error:
        raise PeerError(error.problem, error.remedy) from error
    if agreed.task != task:
        raise PeerError(f"The schedule is for the task {agreed.task!r}, not {task!r}.", "Publish it on its own topic.")
    return agreed


# A removal by hand outranks every session number; the model's next start is believed all the same.
_NEWEST = 2**63


def _check_model(of_topic: str) -> None:
    try:
        check_name("model", of_topic)
    except Misuse as error:
        raise Malformed(error.problem, error.remedy) from error


def _replica(topic: str) -> int:
    """The replica of a state topic; 0 for a model with one process."""
    last = last_level(topic)
    if last == "state":
        return 0
    if not (last.isascii() and last.isdecimal() and len(last) <= 4):
        raise Malformed(f"{last!r} on a model's state topic is no number of a replica.")
    return int(last)


def _same_model(of_topic: str, said: str) -> None:
    if of_topic != said:
        raise Malformed(f"A message of the model {said!r} on the topic of {of_topic!r}.")


def _odd(message: object, where: str) -> Malformed:
    return Malformed(f"A {type(message).__name__} has no business on {where}.")
