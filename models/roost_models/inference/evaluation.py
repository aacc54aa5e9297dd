"""What happens in the compute thread: frames resolved, decoded once, evaluated together; a reason for each failure."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from roost_broker.errors import FrameUnavailable
from roost_broker.faults import Fault
from roost_broker.frames import FrameStore
from roost_broker.messages import DeclineReason, Output, Request
from roost_models.inference import images
from roost_models.inference.images import BadImage
from roost_models.inference.predictor import ModelInput, Pixels, Predictor, model_input

Reason: TypeAlias = DeclineReason
_FRAME_REASONS: dict[str, Reason] = {
    "missing": "frame-missing",
    "truncated": "frame-truncated",
    "altered": "frame-altered",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request is declined."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request: `outputs` or `failure`."""

    request_id: str
    outputs: list[Output] | None
    failure: Failure | None
    prepare_ns: int
    """Reading, decoding and preprocessing of this request."""
    compute_ns: int = 0
    """The evaluation it was part of, alone."""
    batch: int = 1
    began_ns: int = 0
    """When reading began, monotonic."""
    computing_ns: int = 0
    """When the evaluation began, monotonic; 0 when it never did."""


@dataclass(slots=True)
class _Prepared:
    request: Request
    item: ModelInput | None
    failure: Failure | None
    prepare_ns: int
    began_ns: int


class Evaluator:
    """Evaluates requests for a scaffold. `now` reads a monotonic clock in ns; `stop` ends injected waits early.

    `past` tells what a model with internal state may know at a request. `decode` is for whoever shows one picture to
    several models.
    """

    def __init__(
        self,
        predictor: Predictor,
        frames: FrameStore,
        now: Callable[[], int],
        stop: threading.Event,
        past: Callable[[str], Any] | None = None,
        decode: Callable[[bytes], Pixels] = images.decode,
    ) -> None:
        self._predictor = predictor
        self._frames = frames
        self._now = now
        self._stop = stop
        self._past = past
        self._decode = decode

    def evaluate(self, requests: Sequence[Request], faults: Sequence[Fault | None]) -> list[Outcome]:
        """One outcome for each request, in order. Never raises for a request's or a model's sake."""
        prepared = [self._prepare(request) for request in requests]
        usable = [(item, fault) for item, fault in zip(prepared, faults, strict=True) if item.item is not None]
        done = {item.request.request_id: outcome for item, outcome in self._together(usable)}
        return [done.get(item.request.request_id) or _failed(item) for item in prepared]

    def _prepare(self, request: Request) -> _Prepared:
        started = self._now()
        item: ModelInput | None = None
        failure: Failure | None = None
        try:
            past = None if self._past is None else self._past(request.request_id)
            item = model_input(request, self._predictor, lambda: self._frame(request), past, self._decode)
        except FrameUnavailable as error:
            failure = Failure(_FRAME_REASONS.get(error.reason, "frame-missing"), str(error))
        except BadImage as error:
            failure = Failure("bad-input", str(error))
        except OSError as error:  # a card that can no longer read: the frame is as good as missing
            failure = Failure("frame-missing", f"The frame cannot be read: {error}.")
        except Exception as error:  # noqa: BLE001 — whatever one request does, the process lives
            failure = Failure("failed", _sentence(error))
        return _Prepared(request, item, failure, self._now() - started, started)

    def _frame(self, request: Request) -> bytes:
        if request.input.frame is None:
            raise FrameUnavailable("missing", "The request names no frame.")
        return self._frames.read(request.input.frame)

    def _together(self, usable: Sequence[tuple[_Prepared, Fault | None]]) -> list[tuple[_Prepared, Outcome]]:
        """Evaluate in one call; if that raises, one by one, so that one bad request takes no others with it."""
        if len(usable) > 1 and all(fault is None for _, fault in usable):
            try:
                return self._call(usable)
            except Exception:  # noqa: BLE001, S110 — found again below, with the request it belongs to
                pass
        return [self._alone(item, fault) for item, fault in usable]

    def _alone(self, item: _Prepared, fault: Fault | None) -> tuple[_Prepared, Outcome]:
        started = self._now()
        try:
            return self._call([(item, fault)])[0]
        except BadImage as error:
            failure = Failure("bad-input", str(error))
        except (Exception, SystemExit) as error:  # noqa: BLE001 — the author's code may raise anything
            failure = Failure("failed", _sentence(error))
        took = self._now() - started
        return item, Outcome(
            item.request.request_id, None, failure, item.prepare_ns, took, began_ns=item.began_ns, computing_ns=started
        )

    def _call(self, usable: Sequence[tuple[_Prepared, Fault | None]]) -> list[tuple[_Prepared, Outcome]]:
        started = self._now()
        for _, fault in usable:
            if fault is not None:
                fault.before_evaluation(self._stop)
        outputs = self._predictor.predict([item.item for item, _ in usable if item.item is not None])
        took = self._now() - started
        return [
            (
                item,
                Outcome(item.request.request_id, row, None, item.prepare_ns, took, len(usable), item.began_ns, started),
            )
            for (item, _), row in zip(usable, outputs, strict=True)
        ]


def _failed(item: _Prepared) -> Outcome:
    failure = item.failure or Failure("failed", "The request could not be prepared.")
    return Outcome(item.request.request_id, None, failure, item.prepare_ns, began_ns=item.began_ns)


def _sentence(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
