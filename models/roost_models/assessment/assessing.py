"""Evaluate a candidate against the champion by replay of an archive, and judge it by a gate (promises F11, L2, E2).

1. Each model is first tried alone, in a child process of its own: goldens, then the first requests of the archive.
   That is where its memory is measured, and where a damaged one ends.
2. Then both answer every archived request, from its exact bytes and its frame, in child processes that hold both:
   a picture is decoded once. Who answers first alternates.
3. A model that dies, hangs or takes all memory ends the evaluation with a fault that names it; that is a report, too.
4. Verdicts are counted in the order of the archive, so that the report does not depend on who worked on what.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from roost_broker.clock import MS, SECOND, Clock, SystemClock
from roost_broker.errors import Misuse
from roost_broker.jpeg_comment import is_rendered
from roost_models.archive.cases import Case, CaseSource
from roost_models.assessment.child import Child, Ended, Limits
from roost_models.assessment.crew import Crew, LocalCrew, begin_with
from roost_models.assessment.figures import device_factor, estimate, ratios
from roost_models.assessment.gate import Gate, accepted, as_data, judge
from roost_models.assessment.questions import Asking, chunks, picture_of, questions
from roost_models.assessment.report import (
    Assessment,
    Fault,
    Memory,
    Period,
    Side,
    Who,
)
from roost_models.assessment.tally import About, Tally
from roost_models.assessment.truth import Truth
from roost_models.assessment.wire import Begin, Question
from roost_models.bundle.folder import Bundle
from roost_models.rollout.document import BundleRef

TRIED = 96
"""Requests that each model answers alone, first."""
RENDERED = "The archive holds rendered pictures: these figures compare models, and say nothing about real animals."
MakeCrew = Callable[[Begin, Limits, int], Crew]
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be evaluated, and how. Raises `Misuse`."""

    task: str
    archive: str
    """Its name, for the report."""
    from_ms: int | None = None
    until_ms: int | None = None
    nodes: frozenset[str] = frozenset()
    limit: int | None = None
    """Only the first so many requests."""
    tolerance: float = 0.05
    """How far scores may be apart in answers that are almost identical."""
    reuse: bool = False
    """Take the champion's answers from the archive where they are there, same bundle, same runtime, same bytes."""
    workers: int = 2
    limits: Limits = field(default_factory=Limits)
    device_factor: float | None = None
    """How many times slower a device is than this machine, if that is known."""

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance <= 1:
            raise Misuse("A tolerance is from 0 to 1.", "0.05 is the usual one; 0 counts every difference.")
        if self.workers < 1 or (self.limit is not None and self.limit < 1):
            raise Misuse("It takes at least one worker, and one request.", "Leave the options out.")
        if self.device_factor is not None and self.device_factor <= 0:
            raise Misuse("A device's factor is above 0.", "4 says: four times slower than this machine.")


def assess(
    source: CaseSource,
    candidate: Bundle,
    champion: Bundle | None,
    wanted: Wanted,
    gate: Gate,
    *,
    truth: Truth | None = None,
    make_crew: MakeCrew = LocalCrew,
    progress: Progress | None = None,
    clock: Clock | None = None,
) -> Assessment:
    """Evaluate and judge. Never raises for the candidate's or the champion's sake: see `fault` in the report.

    Raises `Misuse` when this evaluation cannot be, such as of a model of another task.
    """
    return _Assessing(source, candidate, champion, wanted, truth, clock or SystemClock()).run(gate, make_crew, progress)


def put_to(crew: Crew, asked: Iterable[tuple[Question, About]], tally: Tally) -> Iterator[int]:
    """Put all questions to a crew, chunk by chunk, and count its verdicts in order; how many are counted, so far.

    So many chunks are under way that nobody waits, and no more.
    """
    under_way: deque[tuple[dict[int, About], object]] = deque()
    for group in chunks(asked):
        abouts = {question.number: about for question, about in group if not question.observe_only}
        under_way.append((abouts, crew.submit([question for question, _ in group])))
        if len(under_way) > 2 * crew.workers:
            yield _count(crew, *under_way.popleft(), tally)
    while under_way:
        yield _count(crew, *under_way.popleft(), tally)


def _first(asked: Iterable[tuple[Question, About]], limit: int | None) -> Iterator[tuple[Question, About]]:
    """So many, not counting what is only observed."""
    taken = 0
    for question, about in asked:
        if taken == limit:
            return
        taken += not question.observe_only
        yield question, about


def _count(crew: Crew, abouts: dict[int, About], handle: object, tally: Tally) -> int:
    for verdict in crew.result(handle):
        tally.take(abouts[verdict.number], verdict)
    return tally.requests


class _Assessing:
    def __init__(
        self,
        source: CaseSource,
        candidate: Bundle,
        champion: Bundle | None,
        wanted: Wanted,
        truth: Truth | None,
        clock: Clock,
    ) -> None:
        self._source = source
        self._wanted = wanted
        self._truth = truth
        self._clock = clock
        self._bundles: dict[Who, Bundle] = {"candidate": candidate}
        if champion is not None:
            self._bundles["champion"] = champion
        for who, bundle in self._bundles.items():
            if bundle.manifest.task != wanted.task:
                raise Misuse(
                    f"The {who} is for the task {bundle.manifest.task}, not {wanted.task}.",
                    "Name two bundles of one task.",
                )
        self._remembering = [who for who, bundle in self._bundles.items() if not bundle.manifest.pure]
        self._tally = Tally(
            compared=champion is not None,
            tolerance=wanted.tolerance,
            labels_from="" if truth is None else truth.source,
        )
        self._memory: dict[Who, Memory] = {}
        self._load_ms: dict[Who, float] = {}
        self._runtime: dict[Who, str] = {}
        self._rendered = False

    def run(self, gate: Gate, make_crew: MakeCrew, progress: Progress | None) -> Assessment:
        started = self._clock.monotonic_ns()
        if self._remembering and make_crew is not LocalCrew:
            raise Misuse(
                f"The {self._remembering[0]} has internal state: it must see all requests in order, on one worker.",
                "Evaluate it on one machine, without --cluster.",
            )
        workers = 1 if self._remembering else self._wanted.workers
        where, fault = "this machine", None
        try:
            self._try_each()
            limits = self._wanted.limits
            begin = begin_with(self._bundles, self._source.frames.root, self._wanted.tolerance, limits)
            crew = make_crew(begin, limits, workers)
            try:
                where, workers = crew.where, crew.workers
                self._replay(crew, progress)
            finally:
                crew.close()
        except Ended as end:
            fault = end.fault
        report = self._report(fault, where, workers, (self._clock.monotonic_ns() - started) / SECOND)
        report = msgspec.structs.replace(report, gate=as_data(gate))
        rules = judge(gate, report)
        return msgspec.structs.replace(report, rules=rules, accepted=accepted(rules))

    def _try_each(self) -> None:
        """Each alone: goldens, the first requests, memory. Raises `Ended`."""
        first = list(islice(self._cases(), TRIED))
        self._rendered = any(is_rendered(picture_of(case, self._source.frames)[0] or b"") for case in first)
        for who, bundle in self._bundles.items():
            begin = begin_with({who: bundle}, self._source.frames.root, self._wanted.tolerance, self._wanted.limits)
            with Child(begin, self._wanted.limits) as child:
                asked = questions(first, Asking(champion=bundle.digest if who == "champion" else ""))
                for group in chunks(asked):
                    child.answers([question for question, _ in group])
                self._memory[who] = child.memory()
                loaded = child.ready.loaded[0]
                self._load_ms[who], self._runtime[who] = round(loaded.load_ms, 1), loaded.runtime

    def _cases(self) -> Iterator[Case]:
        """What is asked for; all before it too, where a model remembers."""
        wanted = self._wanted
        beginning = None if self._remembering else wanted.from_ms
        return self._source.cases(task=wanted.task, from_ms=beginning, until_ms=wanted.until_ms, nodes=wanted.nodes)

    def _replay(self, crew: Crew, progress: Progress | None) -> None:
        champion = self._bundles.get("champion")
        asking = Asking(
            champion="" if champion is None else champion.digest,
            runtime=self._runtime.get("champion", ""),
            reuse=self._wanted.reuse,
            truth=self._truth,
            carry_from=self._source.frames if crew.carries else None,
            compare_from_ms=self._wanted.from_ms or 0,
        )
        asked = _first(questions(self._cases(), asking), self._wanted.limit)
        for done in put_to(crew, asked, self._tally):
            if progress is not None:
                progress(done, self._wanted.limit)

    # -- the report --------------------------------------------------------------------------------------------

    def _report(self, fault: Fault | None, where: str, workers: int, seconds: float) -> Assessment:
        wanted, tally = self._wanted, self._tally
        candidate = self._side("candidate")
        champion = self._side("champion") if "champion" in self._bundles else None
        factor, how = device_factor(wanted.device_factor, tally.device_times, champion)
        return Assessment(
            accepted=False,
            task=wanted.task,
            candidate=_ref(self._bundles["candidate"]),
            champion=_ref(self._bundles["champion"]) if champion is not None else None,
            made_at_ms=self._clock.wall_ns() // MS,
            period=Period(
                archive=wanted.archive,
                from_ms=wanted.from_ms,
                until_ms=wanted.until_ms,
                first_ms=tally.first_ms,
                last_ms=tally.last_ms,
                nodes=sorted(tally.nodes),
                requests=tally.requests,
                skipped=dict(sorted(tally.skipped.items())),
            ),
            fault=fault,
            labelled=tally.labelled(),
            agreement=tally.agreement(),
            candidate_side=candidate,
            champion_side=champion,
            ratios=ratios(candidate, champion),
            device=estimate(candidate, factor, how),
            differing=tally.differing(),
            remarks=self._remarks(candidate, champion),
            workers=workers,
            where=where,
            seconds=round(seconds, 3),
        )

    def _side(self, who: Who) -> Side:
        return msgspec.structs.replace(
            self._tally.side(who),
            runtime=self._runtime.get(who, ""),
            memory=self._memory.get(who),
            load_ms=self._load_ms.get(who),
        )

    def _remarks(self, candidate: Side, champion: Side | None) -> list[str]:
        found = [RENDERED] if self._rendered else []
        if self._truth is not None:
            found += self._truth.remarks
        if self._truth is not None and self._truth.left_out:
            found.append(
                f"{self._truth.left_out} labelled pictures are left out: the candidate learned from them, or from "
                "others of the same site and day."
            )
        labels = set(self._bundles["candidate"].manifest.labels)
        unknown = sorted(set(() if self._truth is None else self._truth.labels.values()) - labels)
        if unknown:
            found.append(f"The candidate has no label {unknown[0]!r} ({len(unknown)} such labels in all).")
        if champion is not None and champion.reproduced < champion.archived_before:
            found.append(
                f"The champion said {champion.archived_before - champion.reproduced} of {champion.archived_before} "
                "archived answers differently now: the replay is not exact."
            )
        for who in self._remembering:
            if self._bundles[who].manifest.internal_state is None:
                found.append(f"The {who} has internal state that Roost does not keep: its answers may not come again.")
        return found


def _ref(bundle: Bundle) -> BundleRef:
    return BundleRef(name=bundle.manifest.name, version=bundle.manifest.version, digest=bundle.digest)
