"""How many words a model may say: a model that floods its scores topic is cut short before its words cost anything,
so that the words of the others are read in time. Pure: time is an argument.

Each model has a credit of words. It grows with every request (a model has two words for each: a decline, and a score
after all) and slowly by itself (for requests that we know nothing of); it is bounded, so that a heap which gathered
while the rendezvous was away is still read. A word beyond the credit is dropped unread. So a model that answers every
request never meets the limit, at any rate of requests. Models beyond `max_models` names share one credit.
"""

from roost_broker.clock import SECOND

_WORDS_A_REQUEST = 2
_WORDS_A_SECOND = 200
_OTHERS = ""


class WordBudget:
    """Credits by model. `burst` is the most that one can have, and what each begins with."""

    def __init__(self, burst: int, max_models: int) -> None:
        self._burst = burst
        self._max_models = max_models
        self._requests = 0
        # Model → its credit, and the requests and the time up to which it has grown.
        self._credits: dict[str, tuple[float, int, int]] = {}

    def request_arrived(self) -> None:
        """One more question that every model may answer."""
        self._requests += 1

    def allows(self, model: str, now: int) -> bool:
        """Whether this word is read; it then counts."""
        known = self._credits.get(model)
        if known is None:
            if len(self._credits) >= self._max_models and model != _OTHERS:
                return self.allows(_OTHERS, now)
            known = (float(self._burst), self._requests, now)
        credit, requests, then = known
        credit += _WORDS_A_REQUEST * (self._requests - requests) + _WORDS_A_SECOND * max(0, now - then) / SECOND
        credit = min(credit, float(self._burst))
        allowed = credit >= 1.0
        self._credits[model] = (credit - 1.0 if allowed else credit, self._requests, max(now, then))
        return allowed
