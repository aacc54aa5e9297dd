"""What is expected of a bundle in the field, from its assessment on archived requests. Pure."""

from msgspec import structs

from roost_models.assessment.report import Assessment, Side
from roost_models.rollout.policy import Baseline

_LEAST_ANSWERS = 0.99
"""A device loses some requests for reasons of its own: no more than this is expected of any bundle."""
_SURE_OF = 200
"""With fewer compared requests, a share of an assessment is no expectation."""


def of_report(report: Assessment, digest: str, *, canary: float | None = None) -> Baseline:
    """What the assessment lets expect; `canary` is the share for which it says what the canary says, if known.

    The agreement with the previous bundle is the one found in the archive: a better bundle differs where the other is
    wrong. The field is to show the same, not more. Of a report that refuses its bundle nothing is taken: to expect
    what was found bad would make it look good.
    """
    if not report.accepted:
        return Baseline(canary=canary)
    agreement = report.agreement
    found = Baseline(canary=canary, answers=_answers(report.candidate_side), source=digest)
    if agreement is None or agreement.compared < _SURE_OF:
        return found
    return structs.replace(found, previous=agreement.same_label / agreement.compared, risk=agreement.upper)


def _answers(side: Side) -> float:
    asked = side.answered + sum(side.failures.values())
    return min(_LEAST_ANSWERS, side.answered / asked) if asked else _LEAST_ANSWERS
