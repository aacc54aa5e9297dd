"""One model in a child process: loaded, tried by its goldens, warm, and asked one request at a time.

Whatever goes wrong with it ends as a `Problem` in words that names it (`GivesUp`); whatever goes wrong with a single
request is that request's failure, as in a scaffold.
"""

import threading
import time
from pathlib import Path
from typing import Any

from roost_broker.errors import Misuse, RoostError
from roost_broker.messages import Request
from roost_models.assessment.looking import Looking, SharedPicture
from roost_models.assessment.report import FaultReason
from roost_models.assessment.wire import Place, Problem, Question
from roost_models.bundle.folder import open_folder
from roost_models.bundle.goldens import differences, golden_input, warm_inputs
from roost_models.inference.evaluation import Evaluator, Outcome
from roost_models.inference.predictor import PythonPredictor, load_predictor
from roost_models.internal_state.keeper import InternalState

NODES = 10_000
"""Devices whose internal state one worker keeps."""
_OUT_OF_MEMORY = "MemoryError"


class GivesUp(Exception):
    """The child cannot go on; its parent is told why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class Model:
    """One of the two models, loaded, tried and warm."""

    def __init__(self, place: Place, pictures: SharedPicture, *, goldens: bool) -> None:
        self.who = place.who
        started = time.perf_counter_ns()
        bundle = open_folder(Path(place.root), place.manifest)
        predictor = load_predictor(bundle)
        self.load_ms = (time.perf_counter_ns() - started) / 1e6
        self.runtime = predictor.runtime
        self.labels = frozenset(predictor.labels)
        self._digest = bundle.digest
        self._author = predictor.model if isinstance(predictor, PythonPredictor) else None
        self._remembers = bundle.manifest.internal_state is not None and self._author is not None
        self._states: dict[str, InternalState] = {}
        self._node = ""
        if goldens:
            for golden in bundle.manifest.goldens:
                outputs = predictor.predict([golden_input(bundle, predictor, golden)])[0]
                wrong = differences(golden, outputs)
                if wrong:
                    raise GivesUp(Problem(who=self.who, reason="goldens", detail=wrong[0]))
        for item in warm_inputs(bundle, predictor)[:1]:
            predictor.predict([item])
        self._evaluator = Evaluator(
            Looking(predictor, bundle.manifest, pictures),
            pictures,
            time.perf_counter_ns,
            threading.Event(),
            self._past if self._remembers else None,
            pictures.decode,
        )

    def observe(self, question: Question, request: Request) -> None:
        """Let the request change the internal state of the model as that device has it."""
        if not self._remembers or self._author is None:
            return
        if question.node not in self._states:
            if len(self._states) >= NODES:
                raise GivesUp(
                    Problem(who=self.who, reason="unusable", detail=f"it keeps state for more than {NODES} devices")
                )
            self._states[question.node] = InternalState(self._author, self._digest)
        self._node = question.node
        self._states[question.node].observe(request)

    def _past(self, request_id: str) -> Any:
        return self._states[self._node].past(request_id)

    def answer(self, request: Request) -> Outcome:
        """What it says of this request now. Raises `GivesUp` when it runs out of memory."""
        outcome = self._evaluator.evaluate([request], [None])[0]
        # One that runs out of memory here would take a device's with it: that is no mere failed request.
        if outcome.failure is not None and _OUT_OF_MEMORY in outcome.failure.detail:
            detail = "It wants more memory than it may have."
            raise GivesUp(Problem(who=self.who, reason="memory", detail=detail, request_id=outcome.request_id))
        return outcome


def load(place: Place, pictures: SharedPicture, *, goldens: bool) -> Model:
    """Load and try one bundle. Raises `GivesUp`."""
    reason: FaultReason = "unusable"
    try:
        return Model(place, pictures, goldens=goldens)
    except GivesUp:
        raise
    except Misuse as error:
        reason, detail = "environment", str(error)
    except RoostError as error:
        detail = str(error)
    except MemoryError:
        detail = _OUT_OF_MEMORY
    except (Exception, SystemExit) as error:  # noqa: BLE001  the author's code may raise anything
        detail = f"{type(error).__name__}: {error}"
    if _OUT_OF_MEMORY in detail:
        reason, detail = "memory", "It wants more memory than it may have, before its first answer."
    raise GivesUp(Problem(who=place.who, reason=reason, detail=detail[:1000]))
