"""Who evaluates: child processes of this machine, one chunk of questions each at a time."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import msgspec

from roost_models.assessment.child import Child, Limits
from roost_models.assessment.report import Who
from roost_models.assessment.wire import Begin, Place, Question, Verdict
from roost_models.bundle.folder import Bundle, read_manifest


class Crew(Protocol):
    """Takes chunks, gives verdicts. Chunks may be worked on at once; who takes one changes no verdict."""

    workers: int
    where: str
    """For the report."""
    carries: bool
    """Whether questions must carry their pictures, for the crew has no access to the archive's folder."""

    def submit(self, questions: Sequence[Question]) -> Any:
        """Begin a chunk; returns what `result` takes."""
        ...

    def result(self, handle: Any) -> list[Verdict]:
        """Wait for a chunk. Raises `Ended` where a model spoils it."""
        ...

    def close(self) -> None:
        """End everything, also what is still at work."""
        ...


def begin_with(bundles: dict[Who, Bundle], frames: Path | None, tolerance: float, limits: Limits) -> Begin:
    """The first message to a child that loads these bundles."""
    return Begin(
        bundles=[
            Place(who=who, root=str(bundle.root.resolve()), manifest=read_manifest(bundle.root))
            for who, bundle in bundles.items()
        ],
        frames="" if frames is None else str(frames.resolve()),
        tolerance=tolerance,
        memory_mb=limits.memory_mb,
    )


class LocalCrew:
    """Children of this process, started when there is a first chunk for them."""

    where = "this machine"
    carries = False

    def __init__(self, begin: Begin, limits: Limits, workers: int) -> None:
        self.workers = workers
        # The goldens were run when each model was tried alone.
        self._begin = msgspec.structs.replace(begin, goldens=False)
        self._limits = limits
        self._own = threading.local()
        self._lock = threading.Lock()
        self._children: list[Child] = []
        self._closed = False
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="evaluate")

    def submit(self, questions: Sequence[Question]) -> "Future[list[Verdict]]":
        """See `Crew`."""
        return self._threads.submit(self._work, list(questions))

    def result(self, handle: "Future[list[Verdict]]") -> list[Verdict]:
        """See `Crew`."""
        return handle.result()

    def close(self) -> None:
        """See `Crew`."""
        with self._lock:
            self._closed = True
            children = list(self._children)
        for child in children:
            child.kill()  # a thread that waits for it wakes, and is told
        self._threads.shutdown(wait=True, cancel_futures=True)
        for child in children:
            child.close()

    def _work(self, questions: list[Question]) -> list[Verdict]:
        child = getattr(self._own, "child", None)
        if child is None:
            child = self._own.child = Child(self._begin, self._limits)
            with self._lock:
                self._children.append(child)
                if self._closed:
                    child.kill()
        verdicts: list[Verdict] = child.answers(questions)
        return verdicts
