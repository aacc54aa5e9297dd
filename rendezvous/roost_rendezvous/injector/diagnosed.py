"""What a request's diagnostics mean to the injector: what was asked for is recorded, and its fault is suffered (QA).

slow     the request goes on to `input` so much later; the requests behind it overtake it
error    it goes to the dead letters
drop     it goes nowhere, and counts as done
wrong    bytes that do not decode go on in its place
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import msgspec

from roost_broker import messages
from roost_broker.bus import Bus
from roost_broker.clock import Clock
from roost_broker.diagnosis import MAX_OVERRIDES, Diagnosis, log_step, read
from roost_broker.errors import Malformed
from roost_broker.faults import RUBBISH
from roost_broker.messages import Request
from roost_broker.refusals import Refusals
from roost_broker.topics import TaskTopics

_log = logging.getLogger(__name__)
_COMPONENT = "injector"
MAX_DELAYED = 1000
"""Requests that wait for their delay; beyond it one goes on at once."""


class Diagnosed:
    """Asked only about requests that have diagnostics."""

    def __init__(self, bus: Bus, topics: TaskTopics, clock: Clock, counts: Counter[str], *, qa: bool) -> None:
        self._qa = qa
        self._counts = counts
        self._refusals = Refusals(bus, topics, _COMPONENT, clock, counts)
        self._delayed: dict[asyncio.TimerHandle, Callable[[], None]] = {}

    def meets(self, request: Request, payload: bytes) -> tuple[bytes, int]:
        """What goes on in the place of `payload` (empty: nothing does), and after how many ms.

        Raises `Malformed` for the fault `error`.
        """
        diagnosis = read(request.diagnostics, qa=self._qa, component=_COMPONENT)
        self._refusals.note(diagnosis, request.request_id)
        overrides = diagnosis.overrides(_COMPONENT)
        if not overrides:
            return payload, 0
        changed = _with_overrides(request, payload, overrides)
        self._log(diagnosis, request)
        fault = diagnosis.fault
        if fault is None:
            return changed, 0
        self._counts[f"fault-{fault.kind}"] += 1
        if fault.kind == "error":
            raise Malformed("An error on purpose: the request asked the injector for it.")
        return {"drop": b"", "wrong": RUBBISH}.get(fault.kind, changed), fault.delay_ms

    def later(self, delay_ms: int, work: Callable[[], None]) -> None:
        """Do `work` after the delay, without holding up anybody else."""
        if not delay_ms or len(self._delayed) >= MAX_DELAYED:
            work()
            return

        def due() -> None:
            del self._delayed[timer]
            work()

        timer = asyncio.get_running_loop().call_later(delay_ms / 1000, due)
        self._delayed[timer] = work

    def hurry(self) -> None:
        """Do at once what waits: the role's last word comes next, and nothing may come behind it."""
        delayed = list(self._delayed.values())
        self.forget()
        for work in delayed:
            work()

    def forget(self) -> None:
        """The connection is lost, or the role ends: what waits was not acknowledged and comes again."""
        for timer in self._delayed:
            timer.cancel()
        self._delayed.clear()

    def _log(self, diagnosis: Diagnosis, request: Request) -> None:
        fault = str(diagnosis.fault) if diagnosis.fault is not None else ""
        log_step(_log, diagnosis, request.request_id, "injector: passed on", tags=request.tags, fault=fault)


def _with_overrides(request: Request, payload: bytes, overrides: list[str]) -> bytes:
    """The payload with what was overridden in its provenance, where every reader behind this one finds it."""
    told = [*request.provenance.overrides, *overrides][:MAX_OVERRIDES]
    provenance = {**cast("dict[str, Any]", msgspec.json.decode(payload))["provenance"], "overrides": told}
    changed = messages.with_fields(payload, provenance=provenance)
    return changed if len(changed) <= messages.MAX_BYTES else payload
