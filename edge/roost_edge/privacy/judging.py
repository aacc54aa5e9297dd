"""May a picture leave the device, by what the guard's model said of it? Pure.

1. Without an answer it may not, however long nobody answers.
2. If any version of the model found somebody, it may not: a newer one that does not is no proof.
3. It may when every answer has another label first, with at least `clear_score`.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from roost_broker.messages import Output
from roost_edge.privacy.settings import PrivacySettings

Verdict: TypeAlias = Literal["clear", "withheld", "unanswered"]


def judge(answers: Sequence[Sequence[Output]], settings: PrivacySettings) -> Verdict:
    """Of one picture; `answers` are outputs, best first, of each version of the model that was asked."""
    if not answers:
        return "unanswered"
    clear = all(
        outputs and outputs[0].label not in settings.labels and outputs[0].score >= settings.clear_score
        for outputs in answers
    )
    return "clear" if clear else "withheld"
