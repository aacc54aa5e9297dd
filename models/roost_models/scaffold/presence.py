"""A model's retained state: what its scaffold publishes, and the last will that says `gone`."""

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from msgspec import structs

from roost_broker.bus import Bus, Will
from roost_broker.clock import Clock
from roost_broker.headers import new_header
from roost_broker.messages import ModelState, encode
from roost_broker.presence import RetainedPresence
from roost_broker.topics import TaskTopics
from roost_broker.usage import usage
from roost_models.bundle.folder import Bundle
from roost_models.scaffold.output_tally import OutputTally
from roost_models.scaffold.replies import clean

State: TypeAlias = Literal["starting", "warming", "ready", "failed", "stopped", "gone"]


def model_state(
    topics: TaskTopics,
    model: str,
    session: int,
    clock: Clock,
    state: State,
    *,
    bundle: Bundle | None = None,
    runtime: str = "",
    detail: str = "",
    counts: Mapping[str, int] | None = None,
    replica: int = 0,
) -> ModelState:
    """A model's state, stamped now."""
    head = new_header(clock, topics.device.node, f"model {model}")
    return ModelState(
        timestamp=head.timestamp,
        message_id=head.message_id,
        provenance=head.provenance,
        model=model,
        version="" if bundle is None else bundle.manifest.version,
        bundle=None if bundle is None else bundle.digest,
        state=state,
        session=session,
        replica=replica,
        runtime=runtime,
        detail=clean(detail),
        counts=dict(counts or {}),
    )


def model_will(
    topics: TaskTopics, model: str, session: int, clock: Clock, bundle: Bundle | None = None, replica: int = 0
) -> Will:
    """What the broker says for a scaffold that vanished; for the bus's constructor."""
    state = model_state(topics, model, session, clock, "gone", bundle=bundle, replica=replica)
    return Will(topics.model_state(model, replica), encode(state))


class ModelPresence(RetainedPresence[State]):
    """Presence of a scaffold. `counts` is asked each time the state is published."""

    def __init__(
        self,
        bus: Bus,
        topics: TaskTopics,
        model: str,
        bundle: Bundle,
        *,
        session: int,
        clock: Clock,
        counts: Callable[[], Mapping[str, int]],
        outputs: OutputTally,
        replica: int = 0,
    ) -> None:
        super().__init__(bus, topics.model_state(model, replica))
        self._replica = replica
        self._topics = topics
        self._model = model
        self._bundle = bundle
        self._session = session
        self._clock = clock
        self._counts = counts
        self._outputs = outputs
        self.runtime = ""

    def _write(self, state: State, detail: str) -> bytes:
        said = model_state(
            *(self._topics, self._model, self._session, self._clock, state),
            bundle=self._bundle,
            runtime=self.runtime,
            detail=detail,
            counts=self._counts(),
            replica=self._replica,
        )
        return encode(
            structs.replace(
                said,
                labels=dict(self._outputs.labels),
                compute_p50_ms=self._outputs.percentile_ms(0.5),
                compute_p99_ms=self._outputs.percentile_ms(0.99),
                usage=usage(),
            )
        )
