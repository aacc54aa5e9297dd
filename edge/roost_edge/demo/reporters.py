"""Who tells the person: `live.LiveView` on a terminal, plain lines into a pipe, with --json progress on stderr."""

from typing import Protocol, TextIO

from roost_broker.frames import FrameStore
from roost_broker.messages import Alert, Result
from roost_edge.demo.view_model import ViewModel


class Reporter(Protocol):
    """Told of everything; decides what a person sees."""

    def say(self, line: str) -> None:
        """A sentence of the demo itself."""
        ...

    def watch(self, view: ViewModel, frames: FrameStore, *, title: str, hint: str) -> None:
        """From now on the view is worth looking at."""
        ...

    def tick(self) -> None:
        """Several times a second while watching."""
        ...

    def close(self) -> None:
        """No more ticks; sentences may follow."""
        ...


class Lines:
    """Plain lines. `talk` says whether answers and alerts are told too, or only the demo's own sentences."""

    def __init__(self, out: TextIO, *, talk: bool) -> None:
        self._out = out
        self._talk = talk
        self._view: ViewModel | None = None
        self._result: Result | None = None
        self._alert: Alert | None = None

    def say(self, line: str) -> None:
        """See `Reporter`."""
        print(line, file=self._out, flush=True)

    def watch(self, view: ViewModel, frames: FrameStore, *, title: str, hint: str) -> None:
        """See `Reporter`."""
        self._view = view

    def tick(self) -> None:
        """See `Reporter`. Between two ticks the newest answer and the newest alert are told."""
        view = self._view
        if view is None or not self._talk:
            return
        if view.latest is not None and view.latest is not self._result:
            self._result = view.latest
            self.say(result_line(view.latest))
        if view.alerts and view.alerts[-1] is not self._alert:
            self._alert = view.alerts[-1]
            self.say(f"  alert: {self._alert.type} {self._alert.label} on {self._alert.camera}")

    def close(self) -> None:
        """See `Reporter`."""
        self.tick()
        self._view = None


def result_line(result: Result) -> str:
    """One answer in one line."""
    if result.answer is None:
        what = f"{result.default.label if result.default else '?'} (default)"
    else:
        what = f"{result.answer.label} {result.answer.score:.2f} ({result.cause}: {result.answer.model})"
    race = ", ".join(
        f"{one.model} {one.elapsed_ms:.0f}"
        if one.status == "answered" and one.elapsed_ms is not None
        else f"{one.model} {one.status}"
        for one in result.models
    )
    return f"{what} after {result.elapsed_ms:.0f} ms; race [ms]: {race}"
