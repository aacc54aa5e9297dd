"""The gate report: what an evaluation found of a candidate, and whether the gate let it pass (`roost.assessment/1`).

Whoever publishes a bundle or plans its roll-out reads `accepted` and `candidate.digest`; everything else is there so
that a person can see why.

Counts are counts of archived requests. A share always comes with what it is a share of and with its 95 % interval.
"""

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct, field

from roost_broker.errors import Malformed
from roost_models.rollout.document import BundleRef

MAX_BYTES = 8_000_000
Outcome: TypeAlias = Literal["pass", "fail", "not-enough-data"]
Who: TypeAlias = Literal["candidate", "champion", "evaluation"]
FaultReason: TypeAlias = Literal["goldens", "unusable", "environment", "hung", "memory", "killed", "ended"]


class _Part(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    pass


class Share(_Part, frozen=True, kw_only=True):
    """`count` of `of`, with its Wilson interval at 95 %."""

    count: int
    of: int
    share: float
    low: float
    high: float


class Accuracy(_Part, frozen=True, kw_only=True):
    """Both models on the same labelled requests. One that fails where it is labelled is wrong there."""

    candidate: Share
    champion: Share | None = None

    @property
    def drop(self) -> float | None:
        """How much worse the candidate is (negative: better); None without a champion."""
        return None if self.champion is None else self.champion.share - self.candidate.share


class Paired(_Part, frozen=True, kw_only=True):
    """Labelled requests that only one of the two has right, and how likely so uneven a split is by chance."""

    only_candidate_right: int
    only_champion_right: int
    p_value: float
    """McNemar's exact test, two-sided."""


class Labelled(_Part, frozen=True, kw_only=True):
    """What is known where somebody said what is in the picture."""

    source: str
    """Where the labels come from."""
    pictures: int = 0
    """Different pictures among the labelled requests; a still scene gives the same one again and again."""
    overall: Accuracy
    by_label: dict[str, Accuracy] = field(default_factory=dict)
    """By the true label."""
    by_site: dict[str, Accuracy] = field(default_factory=dict)
    paired: Paired | None = None


class ScaledRisk(_Part, frozen=True, kw_only=True):
    """The bound while the candidate answers a share of the requests: exactly that share of the whole (promise E3)."""

    share: float
    risk: float
    upper: float


class Agreement(_Part, frozen=True, kw_only=True):
    """How far the two say the same, which bounds what can go wrong whatever the truth is (promise E2).

    `risk` is 1 - f, f the share of almost identical answers; `upper` its exact (Clopper-Pearson) one-sided limit at
    95 %.
    """

    compared: int
    identical: int
    """To the bit, all outputs."""
    almost: int
    """The same best label, and no label's score further apart than `tolerance`; identical ones included."""
    same_label: int
    tolerance: float
    risk: float
    upper: float
    scaled: list[ScaledRisk] = field(default_factory=list)


class Said(_Part, frozen=True, kw_only=True):
    """What one model said of one request: its best label, or why it could not."""

    label: str = ""
    score: float = 0.0
    failure: str = ""


class Differing(_Part, frozen=True, kw_only=True):
    """One request of which the two say different things."""

    request_id: str
    node: str
    at_ms: int
    stratum: str
    """`failed`, or how far the scores are apart, such as `0.2-0.5`."""
    difference: float
    candidate: Said
    champion: Said
    truth: str = ""
    frame: str = ""
    """SHA-256 of the picture in the archive; empty for one that travelled inline, or none."""


class Latency(_Part, frozen=True, kw_only=True):
    """One evaluation alone, on the machine that evaluated, without decoding. Milliseconds, to 1 %."""

    count: int
    p50_ms: float
    p99_ms: float


class Memory(_Part, frozen=True, kw_only=True):
    """A process that holds this model alone, Python and libraries included. MB of 10^6 bytes."""

    peak_rss_mb: float
    pss_mb: float
    """Proportional share after the last request."""


class Side(_Part, frozen=True, kw_only=True):
    """One of the two models."""

    runtime: str = ""
    answered: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    """Requests it could not answer, by reason as a scaffold declines them."""
    first_failure: str = ""
    latency: Latency | None = None
    memory: Memory | None = None
    load_ms: float | None = None
    reused: int = 0
    """Answers taken from the archive instead of evaluating again: same bundle, same runtime, same bytes."""
    reproduced: int = 0
    """Of `archived_before`, those that came out again to the bit."""
    archived_before: int = 0


class Ratios(_Part, frozen=True, kw_only=True):
    """Candidate to champion, in the same run: what travels to another machine."""

    p50: float | None = None
    p99: float | None = None
    memory: float | None = None


class DeviceEstimate(_Part, frozen=True, kw_only=True):
    """An estimate, not a measurement: figures of this machine times `factor`. A device's own come from its shadow."""

    factor: float
    how: str
    candidate_p50_ms: float
    candidate_p99_ms: float


class Period(_Part, frozen=True, kw_only=True):
    """The part of the archive that was replayed."""

    archive: str
    from_ms: int | None = None
    until_ms: int | None = None
    """As asked for; the two below are as found."""
    first_ms: int | None = None
    last_ms: int | None = None
    nodes: list[str] = field(default_factory=list)
    requests: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    """Not compared, by reason: `frame-missing`, `both-failed` …"""


class Fault(_Part, frozen=True, kw_only=True):
    """Why an evaluation ended before its end."""

    who: Who
    reason: FaultReason
    detail: str
    request_id: str = ""


class Rule(_Part, frozen=True, kw_only=True):
    """One rule of the gate, judged."""

    name: str
    outcome: Outcome
    sentence: str
    measured: float | None = None
    limit: float | None = None
    excused: bool = False
    """There was not enough data, and the gate says that this is no hindrance."""

    @property
    def lets_pass(self) -> bool:
        """Whether this rule stands in nobody's way."""
        return self.outcome == "pass" or (self.outcome == "not-enough-data" and self.excused)


class Assessment(_Part, tag_field="schema", tag="roost.assessment/1", frozen=True, kw_only=True):
    """See the module."""

    accepted: bool
    """Whether every rule of the gate lets it pass."""
    task: str
    candidate: BundleRef
    champion: BundleRef | None = None
    made_at_ms: Annotated[int, Meta(ge=0)]
    period: Period
    fault: Fault | None = None
    rules: list[Rule] = field(default_factory=list)
    gate: dict[str, Any] = field(default_factory=dict)
    """The gate's rules as they were."""
    labelled: Labelled | None = None
    agreement: Agreement | None = None
    candidate_side: Side = field(default_factory=Side)
    champion_side: Side | None = None
    ratios: Ratios = field(default_factory=Ratios)
    device: DeviceEstimate | None = None
    differing: list[Differing] = field(default_factory=list)
    """The first few of each stratum, the furthest apart first."""
    remarks: list[str] = field(default_factory=list)
    workers: int = 1
    where: str = "this machine"
    seconds: float = 0.0


_decoder = msgspec.json.Decoder(Assessment)


def parse(data: bytes) -> Assessment:
    """Read a report. Raises `Malformed`."""
    if len(data) > MAX_BYTES:
        raise Malformed(f"A gate report of {len(data)} bytes is over the limit of {MAX_BYTES}.")
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Malformed(f"Not a gate report: {error}.", "Make one with `roost evaluate`.") from error


def render(report: Assessment) -> bytes:
    """Its bytes, the same for the same report."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"
