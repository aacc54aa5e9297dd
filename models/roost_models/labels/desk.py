"""The review desk: queue, pictures, judgements and their undoing, over a label store, an archive and a frame store.

Blocking; one thread at a time. What was judged has its picture in the centre's frame store, durably, before the
judgement is written.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from roost_broker.clock import MS, Clock
from roost_broker.durable import write_durably
from roost_broker.errors import FrameUnavailable, Misuse
from roost_broker.frames import FrameStore
from roost_broker.ids import new_id
from roost_broker.messages import FrameRef
from roost_models.archive.cases import CaseSource
from roost_models.labels import judging, queue, suggesting
from roost_models.labels.candidate import Candidate, candidate, inline_bytes
from roost_models.labels.entry import Entry, Kind
from roost_models.labels.queue import Queue, QueueSettings
from roost_models.labels.standing import standing
from roost_models.labels.store import LabelStore

MAX_LABELS = 200
_REMEMBERED = 20_000
"""Cases kept in mind, so that a judgement says of which request it is."""


@dataclass(frozen=True, slots=True)
class Period:
    """Which cases are looked at: wall clock of the devices, milliseconds; the newest `look_at` of them."""

    from_ms: int | None = None
    until_ms: int | None = None
    nodes: frozenset[str] = frozenset()
    look_at: int = 50_000


class Desk:
    """`cases` may be None: then only what people disagree about or suggest is asked."""

    def __init__(
        self,
        store: LabelStore,
        cases: CaseSource | None,
        frames: FrameStore,
        *,
        task: str,
        clock: Clock,
        settings: QueueSettings | None = None,
        period: Period | None = None,
        labels: tuple[str, ...] = (),
    ) -> None:
        self.task = task
        self._store = store
        self._cases = cases
        self._frames = frames
        self._clock = clock
        self._settings = settings or QueueSettings()
        self._period = period or Period()
        self._given = labels
        self._asked: dict[str, Candidate] = {}

    def queue(self, author: str = "") -> Queue:
        """What this author is asked now. Suggestions that reached the archive meanwhile are taken up."""
        if self._cases is not None:
            suggesting.take(
                self._store, suggesting.archived(self._cases, self.task, self._period.from_ms), task=self.task
            )
        found = queue.build(
            self._candidates(),
            self._store.standings(self.task),
            self._store.unplaced(self.task),
            author=author,
            settings=self._settings,
            there=self._there,
        )
        self._keep_inline({item.candidate for item in found.questions if item.candidate.inline})
        if len(self._asked) > _REMEMBERED:
            self._asked.clear()
        self._asked.update((item.candidate.picture, item.candidate) for item in found.questions)
        return found

    def labels(self, found: Queue) -> list[str]:
        """What a picture can be called: as given, else what people and models have called pictures, by name."""
        if self._given:
            return list(self._given)
        names = {entry.label for entry in self._store.entries(task=self.task) if entry.label}
        for item in found.questions:
            names |= {said.label for said in item.candidate.said if said.label}
        return sorted(names, key=lambda name: (name.casefold(), name))[:MAX_LABELS]

    def picture(self, sha256: str) -> bytes:
        """A picture's bytes, verified. Raises `FrameUnavailable`."""
        ref = FrameRef(sha256=sha256, bytes=0, path="", width=1, height=1)
        try:
            return self._frames.read(ref)
        except FrameUnavailable:
            if self._cases is None:
                raise
            return self._cases.frames.read(ref)

    def history(self, picture: str) -> list[Entry]:
        """What was ever said of a picture for this task."""
        return self._store.history(picture, task=self.task)

    def judge(
        self, picture: str, author: str, kind: Kind, label: str | None = None, reason: str = "", *, origin: str = "page"
    ) -> Entry:
        """Write down what somebody decides. Raises `FrameUnavailable`, `Misuse`."""
        if kind not in ("label", "not-usable", "skip"):
            raise Misuse(f"Nobody can judge by {kind!r}.", "Give a label, or not-usable, or skip.")
        self._have(picture)
        history = self.history(picture)
        asked = self._asked.get(picture) or _from_history(picture, self.task, history)
        entry = judging.judge(
            history,
            entry_id=new_id(self._clock.wall_ns()),
            now_ms=self._now(history),
            author=author,
            picture=picture,
            task=self.task,
            kind=kind,
            label=label,
            reason=reason,
            origin=origin,
            node=asked.node,
            site=next((one.site for one in reversed(history) if one.site), asked.node),
            taken=next((one.taken for one in reversed(history) if one.taken is not None), asked.at_ms or None),
            request_id=asked.request_id,
        )
        self._store.add([entry])
        return entry

    def undo(self, entry_id: str, author: str) -> Entry:
        """Take a judgement back by a new entry. Raises `Misuse`."""
        last = self._store.entry(entry_id)
        if last is None or last.picture is None or last.task != self.task:
            raise Misuse("There is no such entry here.", "Look at the picture's history.")
        history = self.history(last.picture)
        entry = judging.undo(
            history, entry_id, entry_id=new_id(self._clock.wall_ns()), now_ms=self._now(history), author=author
        )
        self._store.add([entry])
        return entry

    def told(self) -> dict[str, int]:
        """Totals of this task: judged, of them by label, in conflict, pending."""
        all_of_them = self._store.standings(self.task).values()
        return {
            "judged": sum(1 for one in all_of_them if one.agreed is not None),
            "conflicts": sum(1 for one in all_of_them if one.conflict),
            "pending": sum(1 for one in all_of_them if one.pending),
        }

    def conflict(self, picture: str) -> bool:
        """Whether authors disagree about this picture."""
        return standing(self.history(picture)).conflict

    def _now(self, history: list[Entry]) -> int:
        """A clock that was set back must not make an older entry win."""
        return max([self._clock.wall_ns() // MS, *(entry.at + 1 for entry in history)])

    def _candidates(self) -> Iterator[Candidate]:
        if self._cases is None:
            return iter(())
        period = self._period
        cases = self._cases.cases(task=self.task, from_ms=period.from_ms, until_ms=period.until_ms, nodes=period.nodes)
        found = (one for one in (candidate(case) for case in cases) if one is not None)
        return iter(deque(found, maxlen=period.look_at))

    def _there(self, one: Candidate) -> bool:
        if one.inline or self._frames.path(one.picture).is_file():
            return True
        return self._cases is not None and self._cases.frames.path(one.picture).is_file()

    def _keep_inline(self, wanted: set[Candidate]) -> None:
        """Pictures that came inside requests become frames, so that they can be shown and learned from."""
        missing = {one.request_id for one in wanted if not self._frames.path(one.picture).is_file()}
        if not missing or self._cases is None:
            return
        times = [one.at_ms for one in wanted]
        cases = self._cases.cases(task=self.task, from_ms=min(times), until_ms=max(times) + 1, nodes=self._period.nodes)
        for case in islice((case for case in cases if case.request_id in missing), len(missing)):
            data, one = inline_bytes(case.request.input), candidate(case)
            if data is not None and one is not None:
                write_durably(self._frames.path(one.picture), data)

    def _have(self, picture: str) -> None:
        if self._frames.path(picture).is_file():
            return
        if self._cases is None:
            raise FrameUnavailable("missing", f"Picture {picture[:12]}… is not in {self._frames.root}.")
        size = len(self._cases.frames.read(FrameRef(sha256=picture, bytes=0, path="", width=1, height=1)))
        self._frames.adopt(FrameRef(sha256=picture, bytes=size, path="", width=1, height=1), self._cases.frames)


def _from_history(picture: str, task: str, history: list[Entry]) -> Candidate:
    """For a picture that nobody was asked about: what earlier entries knew of it."""
    known = history[-1] if history else None
    return Candidate(
        picture, known.node if known else "", task, request_id=known.request_id if known else None, at_ms=0
    )
