"""What a line says of itself, and what it wants done, in order: the side of its machine that others see. Pure."""

from roost_broker.messages.fleet import OtaPhase
from roost_edge.ota import events as e
from roost_edge.ota import phases


class Speaking:
    """Phase, problem and progress; every change of them is reported, once in each answer."""

    def __init__(self) -> None:
        self.phase: OtaPhase = "idle"
        self.problem = ""
        self.progress = (0, 0)
        """Bytes done and in all, of the download."""
        self._out: list[e.Action] = []

    def _move(self, phase: OtaPhase) -> None:
        phases.check(self.phase, phase)
        if phase != self.phase:
            self.phase = phase
            self._do(e.ReportState())

    def _settle(self, phase: OtaPhase) -> None:
        """As `_move`; by way of idle where the table has no other."""
        if phase != self.phase and phase not in phases.TRANSITIONS[self.phase]:
            self._move("idle")
        self._move(phase)

    def _complain(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            self._do(e.ReportState())

    def _do(self, action: e.Action) -> None:
        if isinstance(action, e.ReportState) and action in self._out:
            return
        self._out.append(action)

    def _taken(self) -> tuple[e.Action, ...]:
        out, self._out = tuple(self._out), []
        return out
