"""Evaluation over Ray: the same chunks, the same child processes, on the machines of a cluster.

Ray carries and schedules; it evaluates nothing. Each actor keeps one child process (`child`), so a model that dies or
hangs is named as on one machine, and takes no actor with it. Bundles and pictures travel with the work: the machines
need Roost and Ray, but no common folder. Verdicts come back in the order of the chunks.

The only module that imports Ray.
"""

import contextlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from roost_broker.errors import Misuse, PeerError
from roost_models.assessment.child import Child, Ended, Limits
from roost_models.assessment.report import Fault
from roost_models.assessment.wire import Begin, Question, Verdict
from roost_models.bundle.folder import files_below
from roost_models.bundle.manifest import MANIFEST

_CLOSE_S = 10.0
LOCAL = "local"
"""As an address: a Ray of this machine alone, begun and ended with the evaluation."""


class Carried(msgspec.Struct, frozen=True):
    """A bundle's files as they travel."""

    files: dict[str, bytes]


class Examiner:
    """What runs in an actor."""

    def __init__(self, begin: Begin, bundles: list[Carried], limits: Limits) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="roost-evaluate-")
        self._begin = msgspec.structs.replace(
            begin,
            goldens=False,
            frames="",
            bundles=[
                msgspec.structs.replace(place, root=str(_unpacked(Path(self._folder.name) / str(number), bundle)))
                for number, (place, bundle) in enumerate(zip(begin.bundles, bundles, strict=True))
            ],
        )
        self._limits = limits
        self._child: Child | None = None

    def answers(self, questions: list[Question]) -> list[Verdict] | Fault:
        """A fault is an answer here: an exception would come back wrapped in Ray's own."""
        try:
            if self._child is None:
                self._child = Child(self._begin, self._limits)
            return self._child.answers(questions)
        except Ended as end:
            self._end_child()  # one that hangs would go on
            return end.fault

    def close(self) -> None:
        """End the child, and leave nothing behind."""
        self._end_child()
        self._folder.cleanup()

    def _end_child(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None


class RayCrew:
    """See `Crew`. `address` is a cluster's, or `local`. Raises `Misuse` without Ray, or without a cluster there."""

    carries = True

    def __init__(self, begin: Begin, limits: Limits, workers: int, address: str = LOCAL) -> None:
        self._ray = _ray()
        self._began = self._connect(address, workers)
        self.workers = workers
        self.where = "Ray on this machine" if address == LOCAL else f"Ray at {address}"
        bundles = [_carried(Path(place.root)) for place in begin.bundles]
        actor = self._ray.remote(Examiner).options(num_cpus=1)
        shared = self._ray.put(bundles)
        self._actors = [actor.remote(begin, shared, limits) for _ in range(workers)]
        self._next = 0

    def submit(self, questions: Sequence[Question]) -> Any:
        """See `Crew`. In turn: which actor takes a chunk changes no verdict."""
        actor = self._actors[self._next % len(self._actors)]
        self._next += 1
        return actor.answers.remote(list(questions))

    def result(self, handle: Any) -> list[Verdict]:
        """See `Crew`."""
        try:
            answered: list[Verdict] | Fault = self._ray.get(handle)
        except self._ray.exceptions.RayError as error:
            raise PeerError(
                f"The cluster lost a part of the evaluation: {type(error).__name__}.",
                "Every machine of the cluster needs the same Roost, and its packages. Look at Ray's own logs.",
            ) from error
        if isinstance(answered, Fault):
            raise Ended(answered)
        return answered

    def close(self) -> None:
        """See `Crew`."""
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.get([actor.close.remote() for actor in self._actors], timeout=_CLOSE_S)
        for actor in self._actors:
            self._ray.kill(actor)  # one that is still at work; its child dies with it
        if self._began:
            self._ray.shutdown()

    def _connect(self, address: str, workers: int) -> bool:
        """Whether Ray was begun here, and must be ended here."""
        if self._ray.is_initialized():
            return False
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # an evaluation tells nobody that it took place
        quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}
        try:
            if address == LOCAL:
                self._ray.init(address=LOCAL, num_cpus=workers, **quiet)
            else:
                self._ray.init(address=address, log_to_driver=False, logging_level="error")
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise Misuse(
                f"There is no Ray cluster at {address}: {error}.",
                f"Name one that runs, or `--cluster {LOCAL}` for one on this machine.",
            ) from error
        return True


def _ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise Misuse(
            f"--cluster needs Ray, which is not installed ({error}).",
            "Install it: pip install 'roost[edge,cluster]'; or leave --cluster out.",
        ) from error
    return ray


def _carried(root: Path) -> Carried:
    return Carried({path: (root / path).read_bytes() for path in sorted(files_below(root) | {MANIFEST})})


def _unpacked(folder: Path, bundle: Carried) -> Path:
    for path, data in bundle.files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return folder
