"""What each model has attained: how many answers, how fast at best, and how they spread. Kept over restarts.

One small file, `attained.json`, beside the answer journal. It is what lets the server say, when a schedule is loaded,
that nobody it names has ever answered in time. Written rarely, whole and durably, in a thread of its own: the loop
that answers requests does not wait for a card. A process that is killed loses the last minutes, nothing else.
"""

import logging
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct, field, structs

from roost_broker.clock import SECOND
from roost_broker.durable import write_durably
from roost_broker.messages import ModelOutcome
from roost_rendezvous.schedule import ANY, Schedule

_log = logging.getLogger(__name__)

FILE = "attained.json"
ENOUGH = 20
"""Answers of a model before anything is concluded from them."""
MAX_MODELS = 256
WRITE_EVERY_NS = 300 * SECOND
_BUCKETS = 21
_TOTALS = ("requests", "preferred", "fallback", "override", "default")


class Record(Struct, kw_only=True, rename="camel"):
    """One model's answers under one version of it; a new version begins anew."""

    version: str = ""
    answers: int = 0
    fastest_ms: float = 1e12
    histogram: list[int] = field(default_factory=lambda: [0] * _BUCKETS)
    """Answers by elapsed time: below 1 ms, below 2, below 4, … the last holds all from 524 s on."""

    def take(self, elapsed_ms: float) -> None:
        """One more answer, so long after its request."""
        self.answers += 1
        self.fastest_ms = min(self.fastest_ms, elapsed_ms)
        self.histogram[min(int(elapsed_ms).bit_length(), _BUCKETS - 1)] += 1

    def plus(self, newer: "Record") -> "Record":
        """Both together; of another version, the newer alone."""
        if newer.version != self.version:
            return newer
        return Record(
            version=self.version,
            answers=self.answers + newer.answers,
            fastest_ms=min(self.fastest_ms, newer.fastest_ms),
            histogram=[one + other for one, other in zip(self.histogram, newer.histogram, strict=True)],
        )


class Attained(Struct, kw_only=True):
    """The file's content."""

    models: dict[str, Record] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    """Requests and answers by cause, over all starts."""

    def plus(self, newer: "Attained") -> "Attained":
        """Both together, bounded: the models that were not heard of for longest give way."""
        models = {name: record for name, record in self.models.items() if name not in newer.models}
        for name, record in newer.models.items():
            models[name] = self.models[name].plus(record) if name in self.models else record
        for name in list(models)[:-MAX_MODELS]:
            del models[name]
        totals = {
            name: self.totals.get(name, 0) + newer.totals.get(name, 0) for name in {**self.totals, **newer.totals}
        }
        return Attained(models=models, totals=totals)


_decoder = msgspec.json.Decoder(Attained)


def read(folder: Path) -> Attained:
    """What stands below a journal folder; nothing when there is none or it cannot be read."""
    try:
        attained = _decoder.decode((folder / FILE).read_bytes())
    except FileNotFoundError:
        return Attained()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        _log.warning("%s cannot be read: %s. What models attained is counted anew.", folder / FILE, error)
        return Attained()
    whole = {name: record for name, record in attained.models.items() if len(record.histogram) == _BUCKETS}
    return structs.replace(attained, models=whole)


def never_in_time(schedule: Schedule, models: Mapping[str, Record]) -> list[str]:
    """Sentences for people when nobody whom the schedule lists has ever answered before its default. Pure.

    Silent when too little is known of any of them: a warning that is guessed is worse than none. Where `*` lets in
    anybody, the other models that are known count as listed too.
    """
    listed = set(schedule.models)
    if ANY in {name for step in schedule.steps for name in step.accept}:
        listed |= models.keys() - set(schedule.ignore)
    known = {name: models[name] for name in listed if name in models and models[name].answers >= ENOUGH}
    if not listed or known.keys() != listed:
        return []
    if any(record.fastest_ms <= schedule.default.after_ms for record in known.values()):
        return []
    best = min(known, key=lambda name: (known[name].fastest_ms, name))
    answers = sum(record.answers for record in known.values())
    return [
        f"None of the listed models ({', '.join(sorted(listed))}) has ever answered before the default at "
        f"{schedule.default.after_ms} ms (SLA {schedule.sla_ms} ms): the fastest of {answers} answers was "
        f"{best}'s, after {known[best].fastest_ms:.0f} ms. Every request would get the default."
    ]


class Attainment:
    """Takes in what models did; `counts` are the server's, whose requests and causes are kept as totals."""

    def __init__(self, folder: Path, counts: Counter[str]) -> None:
        self._folder = folder
        self._counts = counts
        self._told = Attained()  # what of `counts` is in the file, as totals
        self._fresh = Attained()
        self._stored: tuple[Attained, Attained] | None = None  # in the file, and on the way there
        self._written_ns: int | None = None
        self._writer: threading.Thread | None = None

    @property
    def models(self) -> dict[str, Record]:
        """Everything known, by model."""
        stored, on_the_way = self._known()
        return stored.plus(on_the_way).plus(self._fresh).models

    @property
    def totals(self) -> dict[str, int]:
        """Requests and answers by cause since ever."""
        stored, on_the_way = self._known()
        return stored.plus(on_the_way).plus(Attained(totals=self._new_totals())).totals

    def take(self, outcomes: Iterable[ModelOutcome]) -> None:
        """What models did for a request that was answered, or did late."""
        models = self._fresh.models
        for outcome in outcomes:
            if outcome.status != "answered" or outcome.elapsed_ms is None:
                continue
            record = models.get(outcome.model)
            if record is None or record.version != outcome.version:
                if len(models) >= MAX_MODELS:
                    continue
                record = models[outcome.model] = Record(version=outcome.version)
            record.take(outcome.elapsed_ms)

    def write_when_due(self, now: int) -> None:
        """Write beside the loop, at most every five minutes; call it now and then."""
        if self._written_ns is None:
            self._written_ns = now
        busy = self._writer is not None and self._writer.is_alive()
        if now - self._written_ns < WRITE_EVERY_NS or busy or not self._anything_new():
            return
        self._written_ns = now
        self._writer = threading.Thread(target=self._write, args=(self._hand_over(),), name="attained", daemon=True)
        self._writer.start()

    def close(self) -> None:
        """Write what is left, and wait for it."""
        if self._writer is not None:
            self._writer.join(timeout=5)
        if self._anything_new():
            self._write(self._hand_over())

    def _anything_new(self) -> bool:
        return bool(self._fresh.models) or any(self._new_totals().values())

    def _new_totals(self) -> dict[str, int]:
        return {name: self._counts[name] - self._told.totals.get(name, 0) for name in _TOTALS}

    def _hand_over(self) -> Attained:
        fresh = structs.replace(self._fresh, totals=self._new_totals())
        self._told = Attained(totals={name: self._counts[name] for name in _TOTALS})
        self._fresh = Attained()
        stored, _ = self._known()
        self._stored = (stored, fresh)
        return fresh

    def _write(self, fresh: Attained) -> None:
        # Read again: while one server hands over to another, both add to the file, seldom and in turn.
        together = read(self._folder).plus(fresh)
        try:
            write_durably(self._folder / FILE, msgspec.json.encode(together))
        except OSError as error:
            _log.warning("%s cannot be written: %s", self._folder / FILE, error)
        self._stored = (together, Attained())

    def _known(self) -> tuple[Attained, Attained]:
        if self._stored is None:
            self._stored = (read(self._folder), Attained())
        return self._stored
