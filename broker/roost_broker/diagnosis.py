"""What one request asks of one component: a trace, a log level, a fault (`Request.diagnostics`, promise V7).

Rules:

1. Honoured only where the settings say QA. Elsewhere, and where an entry cannot be understood, the request is
   processed as if it had not asked, and the refusal has a name: it is counted and told (`refusals`).
2. Without diagnostics this costs one comparison: `read` returns the same empty value for all such requests.
3. A component looks at its own faults only. The injector sees every request first; it speaks for faults that are
   meant for nobody.

A request's own schedule is the rendezvous' business and not read here.
"""

import logging
from typing import Final

from msgspec import Struct, structs

from roost_broker.errors import Misuse
from roost_broker.faults import Fault
from roost_broker.messages import Diagnostics, JsonObject, Request

COMPONENTS: Final = ("model", "injector", "rendezvous", "decoy")
"""Who can be told to suffer. `hang` is for models alone: the others have no thread that could hang by itself."""
MAX_OVERRIDES: Final = 16
"""As `Provenance.overrides` holds."""
_FIRST: Final = "injector"


class Diagnosis(Struct, frozen=True, kw_only=True):
    """What is granted, and the names of what is not. False when nothing was asked."""

    trace: bool = False
    """Publish the spans of this request, whatever the share."""
    log_level: int | None = None
    """Log the steps of this request from this level on (`logging.DEBUG` …), whatever the level of the process."""
    fault: Fault | None = None
    """Suffer this."""
    refused: tuple[str, ...] = ()
    """`trace`, `log-level`, `fault`: not QA. `fault-unknown`: no such fault, component or combination."""

    def __bool__(self) -> bool:
        return self is not NOTHING

    def overrides(self, component: str) -> list[str]:
        """What goes into `provenance.overrides`. Trace and log level are told once, by the injector."""
        told: list[str] = []
        if component == _FIRST:
            told += ["trace"] if self.trace else []
            told += [] if self.log_level is None else [f"log-level {logging.getLevelName(self.log_level).lower()}"]
        return told + ([f"fault {component} {self.fault}"] if self.fault is not None else [])


NOTHING: Final = Diagnosis()
"""For all requests that ask for nothing."""


def read(diagnostics: Diagnostics | None, *, qa: bool, component: str, model: str = "") -> Diagnosis:
    """What `component` (of COMPONENTS; a model says its name too) is to do about this request's diagnostics."""
    if diagnostics is None:
        return NOTHING
    level = None if diagnostics.log_level is None else logging.getLevelNamesMapping()[diagnostics.log_level.upper()]
    refused: list[str] = []
    fault: Fault | None = None
    for entry in diagnostics.faults:
        meant, known = _meant(entry, component, model)
        if not meant:
            continue
        if not qa:
            refused.append("fault")
        elif not known:
            refused.append("fault-unknown")
        elif fault is None:
            fault = _fault(entry, component)
            refused += ["fault-unknown"] if fault is None else []
    if not qa:
        refused += ["trace"] if diagnostics.trace else []
        refused += ["log-level"] if level is not None else []
        return Diagnosis(refused=tuple(dict.fromkeys(refused))) if refused else NOTHING
    if not (diagnostics.trace or level is not None or fault is not None or refused):
        return NOTHING
    return Diagnosis(trace=diagnostics.trace, log_level=level, fault=fault, refused=tuple(dict.fromkeys(refused)))


def _meant(entry: JsonObject, component: str, model: str) -> tuple[bool, bool]:
    """Whether a fault is this component's to speak of, and whether it is meant for anybody at all."""
    target = entry.get("component", "model" if "model" in entry else None)
    if target not in COMPONENTS:
        return component == _FIRST, False
    if target == component == "model":
        return entry.get("model", model) == model, True
    return target == component, True


def _fault(entry: JsonObject, component: str) -> Fault | None:
    try:
        fault = Fault.parse(str(entry.get("fault", "")))
    except Misuse:
        return None
    return None if fault.kind == "hang" and component != "model" else fault


def log_step(
    log: logging.Logger,
    diagnosis: Diagnosis,
    request_id: str,
    message: str,
    *,
    level: int = logging.DEBUG,
    **fields: object,
) -> None:
    """One line about one step of a request, when the request asked for lines of this level.

    It is written even when the process logs less: the record goes straight to the handlers. Whoever calls this on
    every request asks `diagnosis.log_level is not None` first, so that it is cheap when nobody asks.
    """
    if diagnosis.log_level is None or level < diagnosis.log_level:
        return
    extra = {"fields": {"requestId": request_id, **fields}}
    log.handle(log.makeRecord(log.name, level, "", 0, message, (), None, extra=extra))


def with_overrides(request: Request, overrides: list[str]) -> Request:
    """The request with what was overridden added to its provenance, from where messages about it take it over."""
    old = request.provenance
    provenance = structs.replace(old, overrides=[*old.overrides, *overrides][:MAX_OVERRIDES])
    return structs.replace(request, provenance=provenance)
