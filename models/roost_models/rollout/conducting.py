"""The shell around the roll-out's controller: reports come in, documents go out, all is kept in the right order.

    1. `Keep` is on the disk before the document of the same change is signed and published.
    2. A document that could not be published is tried again; nothing that follows it is done before.
    3. Devices are told to look only after the registry holds the document.

    4. A marker is left once, by the number of its document; a bundle moves once for each event of a roll-out.

Killed between any two of these, the next controller finds the difference (see `controller`) and orders what follows
again (`owed`); what is done already is known here.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol

from roost_broker.clock import MS, Clock
from roost_broker.errors import Malformed, Misuse, RoostError
from roost_broker.messages import OtaState, decode
from roost_models.rollout.actions import Action, Command, Halted, Ignored, Keep, Mark, Move, Say, SetDocument
from roost_models.rollout.controller import Controller
from roost_models.rollout.document import Rollout
from roost_models.rollout.evidence import DeviceReport
from roost_models.rollout.keeping import Marker, RolloutBook
from roost_models.rollout.lifecycle import phase_of
from roost_models.rollout.lifecycle_log import LifecycleLog
from roost_models.rollout.progress import Progress

_log = logging.getLogger(__name__)

Verify = Callable[[OtaState, bytes], bool | None]
"""Whether a report's signature fits; None when nobody knows the device's key."""


class Documents(Protocol):
    """Where roll-out documents are published: the registry."""

    def rollout(self, task: str, name: str) -> Rollout | None:
        """What is published of this line now."""
        ...

    def set_rollout(self, document: Rollout) -> object:
        """Sign and publish. Raises `RoostError` when it cannot."""
        ...


def nobody_knows(_state: OtaState, _payload: bytes) -> bool | None:
    """For a centre without the devices' keys."""
    return None


class Conducting:
    """One roll-out that goes on. Hold `book.locked(id)` meanwhile."""

    def __init__(
        self,
        progress: Progress,
        book: RolloutBook,
        documents: Documents,
        lifecycle: LifecycleLog,
        clock: Clock,
        *,
        verify: Verify = nobody_knows,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        order = progress.order
        published = documents.rollout(order.task, order.bundle.name)
        self.controller = Controller(progress, published, now=clock.wall_ns())
        self.ignored: Counter[str] = Counter()
        self.halted: Halted | None = None
        self.to_nudge = False
        """A new document is out; devices should be told to look. The caller clears it."""
        self._book, self._documents, self._lifecycle = book, documents, lifecycle
        self._clock, self._verify, self._say = clock, verify, say
        self._undone: list[Action] = []
        self._complaint = ""
        self._arrivals = 0

    @property
    def undone(self) -> bool:
        """Whether something could not be kept or published yet; `tick` tries it again."""
        return bool(self._undone)

    def resume(self) -> None:
        """Do what a controller that was killed has left undone."""
        self._do(self.controller.resumed(self._clock.wall_ns()))

    def untold(self) -> list[tuple[int, Marker]]:
        """Markers, by place, that do not stand on the fleet's topics yet; publish each, then `was_told`."""
        return self._book.untold(self.controller.progress.order.rollout_id)

    def was_told(self, place: int) -> None:
        """This one is out. One that a kill leaves unsaid is told twice, with the same id."""
        self._book.was_told(self.controller.progress.order.rollout_id, place)

    def order(self, command: Command) -> None:
        """Raises `Misuse` for what cannot be now."""
        self._do(self.controller.handle(command, self._clock.wall_ns()))

    def report(self, payload: bytes, node: str) -> None:
        """Something has come on this device's OTA topic; newer reports come later."""
        self._arrivals += 1
        try:
            state = decode(payload)
        except Malformed:
            self.ignored["malformed"] += 1
            return
        if not isinstance(state, OtaState):
            self.ignored["not-a-report"] += 1
            return
        if state.node != node:
            self.ignored["for-another"] += 1
            return
        report = report_of(
            state,
            task=self.controller.progress.order.task,
            name=self.controller.progress.order.bundle.name,
            order=self._arrivals,
            signed=self._verify(state, payload),
        )
        self._do(self.controller.handle(report, self._clock.wall_ns()))

    def tick(self) -> None:
        """What is due; also orders that others have left, and what could not be published before."""
        self._do(())
        if self._undone:
            return
        self._do(self.controller.expire(self._clock.wall_ns()))
        for path, command in self._book.orders(self.controller.progress.order.rollout_id):
            try:
                self.order(command)
            except Misuse as error:
                self._say(str(error))
            path.unlink(missing_ok=True)

    def _do(self, actions: Iterable[Action]) -> None:
        self._undone += actions
        while self._undone:
            action = self._undone[0]
            try:
                self._act(action)
            except (RoostError, OSError) as error:
                if isinstance(action, Move):  # the roll-out matters more than its log
                    self._say(f"The life cycle could not be written: {error}")
                else:
                    if str(error) != self._complaint:
                        self._complaint = str(error)
                        self._say(f"{error} It is tried again.")
                    return
            else:
                self._complaint = ""
            del self._undone[0]

    def _act(self, action: Action) -> None:
        progress = self.controller.progress
        rollout_id = progress.order.rollout_id
        if isinstance(action, Keep):
            self._book.save(action.progress)
        elif isinstance(action, SetDocument):
            self._documents.set_rollout(action.document)
            self.to_nudge = True
        elif isinstance(action, Mark):
            self._book.mark(rollout_id, action, self._clock.wall_ns() // MS)
        elif isinstance(action, Move):
            self._move(action, progress)
        elif isinstance(action, Say):
            self._say(action.text)
        elif isinstance(action, Halted):
            self.halted = action
            self._say(f"Halted: {action.reason}")
        elif isinstance(action, Ignored):
            self.ignored[action.outcome] += 1

    def _move(self, action: Move, progress: Progress) -> None:
        order, at_ms = progress.order, self._clock.wall_ns() // MS
        author = progress.author or order.author
        evidence = {"rollout": order.rollout_id, "event": action.event}
        entries = [entry for entry in self._lifecycle.entries() if entry.bundle.digest == action.bundle.digest]
        if any(evidence.items() <= entry.evidence.items() for entry in entries):
            return  # done before a kill
        phase = phase_of(entries, action.bundle.digest)
        if phase is None:
            self._say(f"{action.bundle.name} {action.bundle.version} is not in the life cycle; nothing is noted there.")
        elif action.to is None or action.to == phase:
            self._lifecycle.note(
                order.task, action.bundle, author=author, at_ms=at_ms, why=action.why, evidence=evidence
            )
        else:
            self._lifecycle.move(
                order.task, action.bundle, action.to, author=author, at_ms=at_ms, why=action.why, evidence=evidence
            )


def report_of(state: OtaState, *, task: str, name: str, order: int, signed: bool | None) -> DeviceReport:
    """What a device's report says of one line."""
    line = next((line for line in state.lines if line.task == task and line.bundle == name), None)
    return DeviceReport(
        node=state.node,
        report_id=state.message_id,
        order=order,
        tags=state.tags,
        line=line,
        signed=signed,
        sent_ms=state.timestamp,
    )
