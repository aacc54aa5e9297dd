"""The program that evaluates archived requests in a child process: `python -m roost_models.assessment.worker FD`.

Being killed by a damaged model is part of its job. On stdin come `wire` asks, on stdout go the answers; FD is the mark
that says whom it is about. What a model prints goes nowhere.

Each request goes through the scaffold's own `Evaluator`, one at a time as on a device that keeps up, the two models in
turn first, so that neither always finds a warm cache.
"""

import ctypes
import mmap
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import msgspec

from roost_broker.messages import Output
from roost_models.archive.reading import as_request
from roost_models.assessment.comparing import compare
from roost_models.assessment.looking import SharedPicture
from roost_models.assessment.model_alone import GivesUp, Model, load
from roost_models.assessment.report import Who
from roost_models.assessment.wire import (
    MARK,
    WHO,
    Answer,
    Answers,
    Begin,
    Chunk,
    Loaded,
    Measured,
    Problem,
    Question,
    Ready,
    Reply,
    Verdict,
    pack,
    read_ask,
)
from roost_models.inference.evaluation import Outcome

_PR_SET_PDEATHSIG = 1


class Mark:
    """Tells whoever watches what is going on (see `wire`)."""

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, MARK.size)
        self._steps = 0

    def about(self, who: Who, index: int = 0) -> None:
        """Another step begins."""
        self._steps += 1
        MARK.pack_into(self._memory, 0, self._steps, WHO.index(who), index)


class Worker:
    """Answers chunk by chunk."""

    def __init__(self, begin: Begin, mark: Mark) -> None:
        self._mark = mark
        self._tolerance = begin.tolerance
        self._pictures = SharedPicture(Path(begin.frames))
        self._models: dict[Who, Model] = {}
        _limit_memory(begin.memory_mb * len(begin.bundles))
        for place in begin.bundles:
            mark.about(place.who)
            self._models[place.who] = load(place, self._pictures, goldens=begin.goldens)
        mark.about("evaluation")

    @property
    def ready(self) -> Ready:
        """What was loaded."""
        return Ready(
            loaded=[
                Loaded(who=who, runtime=model.runtime, load_ms=model.load_ms) for who, model in self._models.items()
            ]
        )

    def answers(self, chunk: Chunk) -> Answers:
        """Every question of a chunk, in order."""
        verdicts = [self._verdict(question, index) for index, question in enumerate(chunk.questions)]
        self._mark.about("evaluation")
        return Answers(verdicts=[verdict for verdict in verdicts if verdict is not None])

    def _verdict(self, question: Question, index: int) -> Verdict | None:
        request = as_request(question.payload, question.request_id)
        if request.input.frame is not None and (question.picture is not None or question.no_picture):
            self._pictures.carry(request.input.frame.sha256, question.picture, question.no_picture)
        for who, model in self._models.items():
            self._mark.about(who, index)
            model.observe(question, request)
        if question.observe_only:
            return None
        order = sorted(self._models, reverse=question.number % 2 == 1)
        said: dict[Who, Outcome] = {}
        for who in order:
            if who == "champion" and not question.ask_champion:
                continue
            self._mark.about(who, index)
            said[who] = self._models[who].answer(request)
        return self._compared(question, said)

    def _compared(self, question: Question, said: dict[Who, Outcome]) -> Verdict:
        mine, other = said.get("candidate"), said.get("champion")
        archived = question.archived
        theirs = archived if other is None else other.outputs
        reproduced = None
        if other is not None and archived is not None:
            reproduced = other.outputs == archived
        champion = None
        if other is not None:
            champion = _reply(other)
        elif archived is not None and "champion" in self._models:
            champion = Reply(label=archived[0].label, score=archived[0].score)
        verdict = Verdict(
            number=question.number,
            candidate=Reply() if mine is None else _reply(mine),
            champion=champion,
            reproduced=reproduced,
        )
        if mine is None or mine.outputs is None or theirs is None or "champion" not in self._models:
            return verdict
        return self._apart(verdict, mine.outputs, theirs)

    def _apart(self, verdict: Verdict, mine: list[Output], theirs: list[Output]) -> Verdict:
        apart = compare(
            mine,
            theirs,
            self._tolerance,
            labels_one=self._models["candidate"].labels,
            labels_other=self._models["champion"].labels,
        )
        return msgspec.structs.replace(
            verdict, identical=apart.identical, almost=apart.almost, difference=apart.difference
        )


def _reply(outcome: Outcome) -> Reply:
    if outcome.failure is not None or not outcome.outputs:
        failure = outcome.failure
        return Reply(
            failure="failed" if failure is None else failure.reason,
            detail="no outputs" if failure is None else failure.detail[:500],
            compute_ns=outcome.compute_ns,
        )
    best = outcome.outputs[0]
    return Reply(label=best.label, score=best.score, compute_ns=max(1, outcome.compute_ns))


def _limit_memory(megabytes: int) -> None:
    """So much more than now, for heap and private mappings; a crash leaves no core."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    now = _status_mb("VmData:") if sys.platform.startswith("linux") else 0.0
    limit = int((now + megabytes) * 1e6)
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def measured() -> Measured:
    """This process's memory, from /proc (getrusage still counts what the parent held when it forked)."""
    pss = 0.0
    try:
        lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
        pss = next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("Pss:")), 0.0)
    except OSError:
        pass
    return Measured(peak_rss_mb=round(_status_mb("VmHWM:"), 1), pss_mb=round(pss, 1))


def _status_mb(field: str) -> float:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(field)), 0.0)


def main(arguments: list[str]) -> int:
    """Serve until stdin ends. Status 0 with an answer, whatever the answer is."""
    _die_with_parent()
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # the model's own `print` must not spoil the answers
    os.dup2(nowhere, 2)
    with answers:
        _serve(sys.stdin.buffer, _sender(answers), Mark(int(arguments[0])))
    return 0


def _die_with_parent() -> None:
    """A hanging model whose evaluation was killed must not go on for ever. Linux; elsewhere it ends with its stdin."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _sender(stream: BinaryIO) -> Callable[[Answer], None]:
    def send(answer: Answer) -> None:
        stream.write(pack(answer))
        stream.flush()

    return send


def _serve(asks: BinaryIO, send: Callable[[Answer], None], mark: Mark) -> None:
    try:
        begin = read_ask(asks)
        if not isinstance(begin, Begin):
            return
        worker = Worker(begin, mark)
        send(worker.ready)
        while (ask := read_ask(asks)) is not None:
            if isinstance(ask, Chunk):
                send(worker.answers(ask))
            else:
                send(measured())
    except GivesUp as end:
        send(end.problem)
    except Exception as error:  # noqa: BLE001  told to the parent, which has the person's ear
        send(Problem(who="evaluation", reason="ended", detail=f"{type(error).__name__}: {error}"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
