"""The core at work: it is told what arrives and woken in time; what it decides is journalled, published and counted."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from roost_broker.bus import Bus
from roost_broker.clock import Clock
from roost_rendezvous.handover.files import RendezvousKnowledge
from roost_rendezvous.mailbox.actions import Action, Answer, Closed, Kind, Noted
from roost_rendezvous.mailbox.core import Rendezvous
from roost_rendezvous.mailbox.events import Event
from roost_rendezvous.schedule import Schedule
from roost_rendezvous.server import results
from roost_rendezvous.server.attainment import Attainment
from roost_rendezvous.server.decision_traces import DecisionTraces
from roost_rendezvous.server.diagnosed import log_answer
from roost_rendezvous.server.faulty_outlet import FaultyOutlet
from roost_rendezvous.server.held import HeldDeliveries
from roost_rendezvous.server.journal import AnswerJournal, Stored
from roost_rendezvous.server.publisher import ResultPublisher
from roost_rendezvous.server.results import Asked
from roost_rendezvous.server.settings import ServerSettings

_NOT_OURS = frozenset({Kind.STANDBY, Kind.HANDED_OVER, Kind.WITH_PREDECESSOR})


class Desk:
    """`core` is there after `begin`. A defect in a timer is told to `defect`."""

    def __init__(
        self,
        bus: Bus,
        folder: Path,
        slot: str,
        settings: ServerSettings,
        *,
        clock: Clock,
        node: str,
        held: HeldDeliveries,
        counts: Counter[str],
        attainment: Attainment,
        traces: DecisionTraces,
        defect: Callable[[BaseException], None],
    ) -> None:
        self.core: Rendezvous | None = None
        self.counts = counts
        self._bus = bus
        self._folder = folder
        self._slot = slot
        self._settings = settings
        self._clock = clock
        self._node = node
        self._held = held
        self._attainment = attainment
        self._traces = traces
        self._defect = defect
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns = 0
        self._journal: AnswerJournal | None = None
        self._publisher: ResultPublisher | None = None
        self._outlet: FaultyOutlet | None = None

    def open(self) -> None:
        """Open the journal. Raises OSError when its folder cannot be used."""
        settings = self._settings
        self._journal = AnswerJournal(
            self._folder,
            slot=self._slot,
            remember=settings.remember_answered,
            segment_bytes=settings.journal_bytes,
        )
        self._publisher = ResultPublisher(
            self._bus, self._journal, self._held, self.counts, remember=settings.remember_answered
        )
        self._outlet = FaultyOutlet(self._bus, self._publisher, self._held, self.counts)

    def begin(self, schedule: Schedule, *, standby: bool) -> None:
        """Now there is a schedule: decide."""
        answered = self._journal.ids() if self._journal is not None else ()
        self.core = Rendezvous(schedule, self._settings.policy(), answered=answered, standby=standby)

    def pause(self) -> None:
        """Wake no more, and send nothing again: the bus is stopped next."""
        if self._timer is not None:
            self._timer.cancel()
        if self._publisher is not None:
            self._publisher.close()
        if self._outlet is not None:
            self._outlet.close()

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()

    def tell(self, event: Event, now: int) -> tuple[Action, ...]:
        """Tell the core, and do what it wants done. Only after `begin`."""
        core = self.core
        if core is None:
            raise TypeError("nothing can be decided without a schedule")
        actions = core.handle(event, now)
        self._act(actions)
        self._arm(core)
        return actions

    def _wake(self) -> None:
        self._timer = None
        core = self.core
        if core is None:
            return
        try:
            self._act(core.expire(self._clock.monotonic_ns()))
            self._arm(core)
        except Exception as error:  # noqa: BLE001 - a defect: run() raises it, the process ends loudly
            self._defect(error)

    def _arm(self, core: Rendezvous) -> None:
        """One timer, never later than the core's deadline; an earlier one that is left over finds nothing to do."""
        deadline = core.deadline()
        if deadline is None or (self._timer is not None and self._timer_ns <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_ns = deadline
        delay = max(0, deadline - self._clock.monotonic_ns()) / 1e9
        self._timer = asyncio.get_running_loop().call_later(delay, self._wake)

    def _act(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            if isinstance(action, Answer):
                self._answer(action)
            elif isinstance(action, Noted):
                self.counts[action.kind] += 1
                self._traces.noted(action)
                if action.kind is Kind.REPEATED_REQUEST:
                    self._repeat(action.request_id)
                elif action.kind in _NOT_OURS and not action.model:
                    self._held.release(action.request_id)
            else:
                self._closed(action)

    def _answer(self, answer: Answer) -> None:
        asked = answer.context
        if not isinstance(asked, Asked) or self._publisher is None:
            raise TypeError("an answer without its question")
        decided = self._clock.monotonic_ns()
        stored = Stored(
            topic=asked.request.return_address,
            payload=results.build(answer, asked, self._clock, self._node),
            response_topic=asked.response_topic,
            correlation=asked.correlation,
        )
        fault = asked.diagnosis.fault
        if fault is None or self._outlet is None:
            self._publisher.send(answer.request_id, stored)
        else:
            self._outlet.send(answer.request_id, stored, fault)
        self.counts[answer.cause] += 1
        if answer.early_ns:
            self.counts["early-commits"] += 1
            self.counts["early-commits-saved-us"] += answer.early_ns // 1000
        self._traces.answered(answer, asked, decided)
        self._attainment.take(answer.outcomes)
        if asked.diagnosis:
            log_answer(answer, asked)

    def _repeat(self, request_id: str) -> None:
        if self._outlet is not None and self._outlet.holds(request_id):
            return  # decided, and on its way as slowly as it asked for
        if self._publisher is not None and self.core is not None and not self._publisher.again(request_id):
            self.core.forget(request_id)

    def _closed(self, closed: Closed) -> None:
        """Late scores of a mailbox: what would have been there with more patience."""
        self._attainment.take(closed.late)
        if any(outcome.status == "answered" and not outcome.ignored for outcome in closed.late):
            self.counts["late-after-" + closed.cause] += 1

    def knowledge(self, handover_id: str, role: str) -> RendezvousKnowledge:
        """What is known now, for a successor."""
        core = self.core
        return RendezvousKnowledge(
            handover_id=handover_id,
            role=role,
            schedule_version=core.schedule_version if core is not None else "",
            open=core.open_ids() if core is not None else (),
            answered=tuple(self._journal.ids()) if self._journal is not None else (),
        )

    def answered(self) -> tuple[str, ...]:
        """Ids of all answers that can be repeated, the other slot's newest included; oldest first."""
        if self._journal is None:
            return ()
        self._journal.refresh()
        return tuple(self._journal.ids())

    @property
    def idle(self) -> bool:
        """Whether nothing is open, waited for or on its way out."""
        core, publisher, outlet = self.core, self._publisher, self._outlet
        nothing_open = core is None or (core.open_count == 0 and core.deadline() is None)
        nothing_leaves = (publisher is None or publisher.idle) and (outlet is None or outlet.idle)
        return nothing_open and nothing_leaves and not len(self._held)
