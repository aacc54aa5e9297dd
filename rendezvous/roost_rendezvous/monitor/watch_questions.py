"""What people ask the watch: its alarms; and the word that they know of one. Nobody waits for the core in between."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from roost_broker.errors import Misuse, PeerError
from roost_rendezvous.monitor.watch_telling import Answering, Asked, answer, answer_before
from roost_rendezvous.monitor.watch_working import Working


class Questions:
    """`note` takes an alarm's id and who knows of it; False: that cannot be kept."""

    def __init__(self, answering: Answering, working: Working, note: Callable[[str, str], bool]) -> None:
        self._answering = answering
        self._working = working
        self._note = note
        self._answers: set[asyncio.Task[None]] = set()

    def listen(self) -> None:
        """Before the bus is started."""
        self._answering.listen("alarms", lambda asked: self._later(self._tell(asked)))
        self._answering.listen("acknowledge", lambda asked: self._later(self._acknowledge(asked)))

    def stop(self) -> None:
        """Who has no answer yet, gets none."""
        for task in self._answers:
            task.cancel()

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def _tell(self, asked: Asked) -> None:
        """Every alarm."""
        work = self._working
        answering = work.ask(partial(answer, asked=asked, caught_up=work.caught_up, behind=work.behind))
        self._answering.answer(asked, await answering if answering is not None else answer_before(work.behind))

    async def _acknowledge(self, asked: Asked) -> None:
        """Somebody knows of an alarm. While it is not known what is open, nothing can be said of that."""
        work = self._working
        wanted, by = str(asked.data.get("alarm", ""))[:64], str(asked.data.get("by", "operator"))[:200]
        try:
            finding = work.ask(lambda core: core.find(wanted)) if work.caught_up else None
            if finding is None:
                problem = f"The monitor is catching up: {work.behind:,} observations are still to be handled."
                raise PeerError(problem, "Say it again in a minute.")
            found = await finding
            if not self._note(found.id, by):
                raise PeerError("The card does not take what is noted.", "Look at it: roost doctor")
        except (Misuse, PeerError) as error:
            self._answering.refuse(asked, error)
            return
        self._answering.answer(asked, {"alarm": found.id, "sentence": found.headline})
