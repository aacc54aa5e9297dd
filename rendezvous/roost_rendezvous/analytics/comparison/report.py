"""What a comparison found: values for a program, words come from `telling`. Pure."""

import msgspec

from roost_rendezvous.analytics.comparison.agreement import Agreement
from roost_rendezvous.analytics.comparison.cascades import Exchange
from roost_rendezvous.analytics.comparison.exploration import OffPolicy
from roost_rendezvous.analytics.comparison.matching import Top
from roost_rendezvous.analytics.comparison.sampling import Estimate, Stratum


class _Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Names on the outside are written like in Roost's messages."""


class Side(_Part, frozen=True, kw_only=True):
    """One of the two models in this period."""

    name: str
    versions: list[str]
    answered: int
    """Before or after the official result."""
    late: int = 0
    """Of these, after the official result."""
    missing: dict[str, int] = {}
    """Why there was no answer to compare, and how often."""
    p50_ms: float | None = None
    """From the request's issue to the score, of all that say it; None: none does."""
    p99_ms: float | None = None
    beyond_deadline: int = 0


class ByLabel(_Part, frozen=True, kw_only=True):
    """One label's scores of both models."""

    label: str
    requests: int
    not_given: int = 0
    """Requests in which one of the models did not tell this label's score; it counts as 0."""
    best_of_one: int = 0
    """Requests in which this is the best label of one of the two, and another one the other's."""
    raw_difference: float = 0.0
    """Median distance of the scores."""
    quantile_difference: float = 0.0
    """Median distance of the quantiles."""
    quantile_difference_95: float = 0.0
    spearman: float | None = None
    """Correlation of the quantiles; None where one of the models never varies."""
    tops: list[Top] = []


class Drawn(_Part, frozen=True, kw_only=True):
    """One differing request of the sample."""

    request_id: str
    at: int
    stratum: str
    weight: float
    difference: float
    one: str
    """Best label; empty where it had none."""
    one_score: float | None
    other: str
    other_score: float | None
    frame: str = ""
    truth: str = ""
    tags: dict[str, str] = {}


class Paired(_Part, frozen=True, kw_only=True):
    """Where the truth is known: how often is only one of them right."""

    labelled: int
    both: int
    only_one: int
    only_other: int
    p_value: float
    """McNemar's exact test that so uneven a split is chance."""


class Group(_Part, frozen=True, kw_only=True):
    """The comparison within one cohort."""

    tag: str
    value: str
    compared: int
    almost: int
    risk: float
    upper: float


class Gain(_Part, frozen=True, kw_only=True):
    """How much better the other model is on differing requests, estimated from the labelled ones of the sample."""

    estimate: Estimate
    """+1: only the other is right; -1: only the first is."""
    by: str
    """`truth`, or `surrogate` and whose."""


class Comparison(_Part, tag_field="schema", tag="roost.comparison/1", frozen=True, kw_only=True):
    """`one` beside `other` on the same requests."""

    one: Side
    other: Side
    task: str
    rows: int
    first_at: int | None = None
    last_at: int | None = None
    duplicates: int = 0
    mixed_inputs: int = 0
    """Rows refused: the same request id with another input."""
    mixed_ids: list[str] = []
    agreement: Agreement
    strata_by: str = "quantiles"
    """What the differences in the sample are of: `quantiles` or `scores`."""
    labels: list[ByLabel] = []
    labels_left_out: int = 0
    strata: list[Stratum] = []
    sample: list[Drawn] = []
    groups: list[Group] = []
    paired: Paired | None = None
    gain: Gain | None = None
    always: list[OffPolicy] = []
    """Where the schedule draws by lot and truths are known: how often always choosing each would have been right."""
    cascade: Exchange | None = None
    band: str = ""
    """How usual the difference is beside this canary; empty: not asked for."""
    recommendation: str = ""
    """`retire`, `continue` or `promote`: of `other`, as if `one` were the champion."""
    reasons: list[str] = []
    notes: list[str] = []
