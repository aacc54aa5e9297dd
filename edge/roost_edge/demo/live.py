"""The live view: draws what is known a few times a second on the terminal's other screen."""

import time

from rich.console import Console
from rich.live import Live

from roost_broker.errors import FrameUnavailable
from roost_broker.frames import FrameStore
from roost_broker.messages import Result
from roost_edge.demo.half_blocks import Cell, half_blocks
from roost_edge.demo.render import Scene, draw, picture_rows
from roost_edge.demo.view_model import ViewModel


class LiveView:
    """A `Reporter` for a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._live: Live | None = None
        self._view: ViewModel | None = None
        self._frames: FrameStore | None = None
        self._title = self._hint = ""
        self._began = 0.0
        self._shown: Result | None = None
        self._rows = 0
        self._picture: list[list[Cell]] = []

    def say(self, line: str) -> None:
        """See `Reporter`."""
        if self._live is None:
            self._console.print(line, highlight=False, markup=False)
        else:
            self._hint = f" {line}"

    def watch(self, view: ViewModel, frames: FrameStore, *, title: str, hint: str) -> None:
        """See `Reporter`."""
        self._view, self._frames, self._title, self._hint = view, frames, title, f" {hint}"
        self._began = time.monotonic()
        self._live = Live(console=self._console, screen=True, auto_refresh=False)
        self._live.start()
        self.tick()

    def tick(self) -> None:
        """See `Reporter`."""
        if self._live is None or self._view is None:
            return
        width, height = self._console.size
        self._look(self._view, picture_rows(height))
        scene = Scene(
            title=self._title,
            elapsed_s=time.monotonic() - self._began,
            hint=self._hint,
            width=width,
            height=height,
            picture=self._picture,
        )
        self._live.update(draw(self._view, scene), refresh=True)

    def close(self) -> None:
        """See `Reporter`."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _look(self, view: ViewModel, rows: int) -> None:
        """Fetch the newest result's picture, by reference, as any reader would."""
        result = view.latest
        if result is None or (result is self._shown and rows == self._rows):
            return
        self._shown, self._rows, self._picture = result, rows, []
        frame = result.input.frame if result.input else None
        if frame is None or not rows or self._frames is None:
            return
        try:
            self._picture = half_blocks(self._frames.read(frame), columns=rows * 8 // 3, rows=rows)
        except (FrameUnavailable, OSError):
            return  # the janitor was quicker: no picture, and everything else as before
