"""One child process that evaluates, seen from outside: started, asked, watched, and when it dies, explained.

Two limits of time: for loading and the goldens together, and for each single step after that. A step that takes longer
hangs: the child is killed, and whoever was being evaluated is named. The child limits its own memory (`worker`).
"""

import mmap
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import Any

from roost_broker.errors import Misuse, PeerError
from roost_models.assessment.report import Fault, FaultReason, Memory, Who
from roost_models.assessment.wire import (
    MARK,
    WHO,
    Answer,
    Answers,
    Ask,
    Begin,
    Chunk,
    Measure,
    Measured,
    Problem,
    Question,
    Ready,
    Verdict,
    length_of,
    pack,
    unpack_answer,
)

_LOOK_S = 0.5
"""How often a child that says nothing is looked at, at most."""
_READ = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may take. Raises `Misuse` for what cannot be kept."""

    memory_mb: int = 1024
    """Each model, beside what a process needs anyway (10^6 bytes)."""
    step_s: float = 30.0
    """One evaluation of one request."""
    load_s: float = 120.0
    """Loading and the goldens, of all its models."""

    def __post_init__(self) -> None:
        if self.memory_mb < 1 or self.step_s <= 0 or self.load_s <= 0:
            raise Misuse("Limits of memory and time are above 0.", "Leave them out to take the usual ones.")


class Ended(PeerError):
    """A child that could not go on; `fault` says who is to blame."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"The {fault.who}: {fault.detail}", "See the report.")
        self.fault = fault


class Child:
    """See the module. Raises `Ended` where a model spoils it. Not for two threads at once; `close` it."""

    def __init__(self, begin: Begin, limits: Limits) -> None:
        self._limits = limits
        self._asked: list[Question] = []
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed in `close`
        self._file.truncate(MARK.size)
        self._mark = mmap.mmap(self._file.fileno(), MARK.size)
        descriptor = self._file.fileno()
        command = [sys.executable, "-P", "-m", "roost_models.assessment.worker", str(descriptor)]
        # stderr of a model is nobody's business here, and unbounded.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(descriptor,),
            bufsize=0,
        )
        try:
            answer = self._ask(begin, limits.load_s, whole=True)
            if not isinstance(answer, Ready):
                raise _strange(answer)
            self.ready = answer
        except BaseException:
            self.close()
            raise

    def answers(self, questions: list[Question]) -> list[Verdict]:
        """Every question answered and compared."""
        self._asked = questions
        answer = self._ask(Chunk(questions=questions), self._limits.step_s)
        if not isinstance(answer, Answers):
            raise _strange(answer)
        return answer.verdicts

    def memory(self) -> Memory:
        """What the process takes, and took at most."""
        answer = self._ask(Measure(), self._limits.step_s)
        if not isinstance(answer, Measured):
            raise _strange(answer)
        return Memory(peak_rss_mb=answer.peak_rss_mb, pss_mb=answer.pss_mb)

    def kill(self) -> None:
        """End the process, whatever it is doing; a thread that waits for it is told. `close` is still to come."""
        self._process.kill()

    def close(self) -> None:
        """End the process and let go of everything."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._mark.close()
        self._file.close()

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, message: Ask, limit_s: float, *, whole: bool = False) -> Answer:
        """Send and wait. `limit_s` is for each step, or with `whole` for all of it together."""
        data = _Pending(pack(message))
        received = bytearray()
        wanted: int | None = None
        steps, since = self._mark_now()[0], time.monotonic()
        while wanted is None or len(received) < wanted + 4:
            if not self._exchange(data, received):
                raise Ended(self._death())
            if wanted is None and len(received) >= 4:
                wanted = length_of(bytes(received[:4]))
            now_at = self._mark_now()[0]
            if now_at != steps and not whole:
                steps, since = now_at, time.monotonic()
            elif time.monotonic() - since > limit_s:
                raise Ended(self._hung(limit_s))
        answer = unpack_answer(bytes(received[4:]))
        if isinstance(answer, Problem):
            raise Ended(Fault(who=answer.who, reason=answer.reason, detail=answer.detail, request_id=answer.request_id))
        return answer

    def _exchange(self, data: "_Pending", received: bytearray) -> bool:
        """Write and read what goes now, waiting a moment at most; False when the child is gone."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            return False
        readable, writable, _ = select.select([stdout], [stdin] if data.left else [], [], _LOOK_S)
        if writable:
            try:
                # A pipe is writable when 4096 bytes fit: more might block, while the child blocks on its answer.
                data.sent(stdin.write(data.left[: select.PIPE_BUF]) or 0)
            except BrokenPipeError:
                data.sent(len(data.left))  # it may have said why
        if readable:
            piece = stdout.read(_READ)
            if not piece:
                return False
            received += piece
        return True

    def _mark_now(self) -> tuple[int, Who, int]:
        steps, who, index = MARK.unpack_from(self._mark, 0)
        return steps, WHO[min(who, len(WHO) - 1)], index

    def _hung(self, limit_s: float) -> Fault:
        return self._fault("hung", f"It did not come back within {limit_s:g} s.")

    def _death(self) -> Fault:
        status = self._process.wait()
        if status < 0:
            try:
                name = signal.Signals(-status).name
            except ValueError:
                name = f"signal {-status}"
            return self._fault("killed", f"It killed its process ({name}).")
        return self._fault("ended", f"It ended its process with status {status}.")

    def _fault(self, reason: FaultReason, detail: str) -> Fault:
        _, who, index = self._mark_now()
        about = self._asked[index].request_id if who != "evaluation" and index < len(self._asked) else ""
        return Fault(who=who, reason=reason, detail=detail, request_id=about)


class _Pending:
    """Bytes still to be written."""

    def __init__(self, data: bytes) -> None:
        self.left = memoryview(data)

    def sent(self, count: int) -> None:
        self.left = self.left[count:]


def _strange(answer: Any) -> PeerError:
    return PeerError(f"A child process answered with {type(answer).__name__}.", "That is a defect in Roost.")
