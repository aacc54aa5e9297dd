"""One stream of events, watched: predicted by the hour, judged at every event and on a timer. Pure.

`event(at)` for each event, `tick(now)` for a reading, `deadline()` says when to be woken at the latest: at the end of
the hour, or when the silence alone would have made the surprise ten times rarer (the book's stop detection,
`rate * (now - t_last)`, has to be looked at while nothing happens).

Two ladders: one against the next-hour forecast, one against the day-ahead forecast, which a creeping change does not
talk into following it. A rate that is not well known must not shout: where the forecast errs by more than the chance of
counting, events weigh less (the quasi-likelihood of an overdispersed count: 1 / (1 + expected * excess variance)).

On clumped streams such caution costs sight of a stop, and a stop needs none of it: `stopped(now)` is the book's measure
as it stands, a reading of its own with a history of its own. And where bursts are daily bread no sum of events shows a
doubling: `lasted(now)` is a third reading, of most hours of a day (`lasting`).
"""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from roost_rendezvous.analytics.rates.history import HOUR, OwnHistory
from roost_rendezvous.analytics.rates.ladder import Ladder
from roost_rendezvous.analytics.rates.lasting import Lasting
from roost_rendezvous.analytics.rates.seasonal import NEXT_DAY, NEXT_HOUR, Forecast, Seasonal
from roost_rendezvous.analytics.rates.settings import RatePolicy
from roost_rendezvous.analytics.reading import Reading, Signal

_BOTH = math.log10(2.0)
"""Two ladders look: by chance one of them is surprised twice as often."""
_PACE = 30.0
"""What is shown as the rate now is of about so many expected events."""
_FADING = math.exp(-1.0 / 24.0)
"""An hour's: sums of a day ago count for a third."""
_LEAST_EXPECTED = 0.01
"""Events an hour: a forecast of none would make any event infinitely strange."""
_MOST_HOURS = 400
"""After a longer silence than this nobody was watching: older hours cannot matter to the forecast."""


class RateWatch:
    """All that is kept of one stream: bounded, about 16 kB."""

    def __init__(self, signal: Signal, policy: RatePolicy | None = None) -> None:
        self.signal = signal
        self.policy = policy or RatePolicy()
        self.seasonal = Seasonal(least_per_hour=self.policy.least_per_hour, least_hours=self.policy.least_hours)
        self.history = OwnHistory(self.policy.history)
        self._ladders = (Ladder(self.policy.ratios), Ladder(self.policy.ratios))
        self._rates = [0.0, 0.0]
        """Expected and weighted events per nanosecond, next hour and day ahead."""
        self._weights = [1.0, 1.0]
        self._rate = 0.0
        """Expected events per nanosecond, next hour."""
        self._forecast: Forecast | None = None
        self._day_ahead: Forecast | None = None
        self.lasting = Lasting(self.policy.history)
        self._at: int | None = None
        self._hour_count = 0.0
        self._whole = False
        """Whether this hour was watched from its beginning."""
        self._peak = 0.0
        self._events = 0
        self._recent, self._recent_expected = 0.0, 0.0
        self.silences = OwnHistory(self.policy.history)
        self._fastest = 0.0
        """Expected events per nanosecond by the higher of the two forecasts: a stop must not be forecast away."""
        self._silence_now, self._longest = 0.0, 0.0

    @property
    def signals(self) -> tuple[Signal, Signal, Signal]:
        """Of `tick`, `stopped` and `lasted`."""
        return self.signal, self._own("stop"), self._own("lasting")

    def _own(self, what: str) -> Signal:
        """Made when it is asked for: kept by every stream, they would weigh half a kilobyte each."""
        return msgspec.structs.replace(self.signal, part=f"{self.signal.part}.{what}".lstrip("."))

    def event(self, at: int, count: int = 1) -> None:
        """`count` events at one moment. A late one counts for the hour that is open."""
        self._to_hour(at)
        self._hour_count += count
        self._events += count
        if self._forecast is None:
            self._at = max(at, self._at or at)
            return
        span = self._time(at)
        for ladder, rate, weight in zip(self._ladders, self._rates, self._weights, strict=True):
            surprise = ladder.occur(span * rate, weight * count) - _BOTH
            if surprise > self._peak:
                self._peak = surprise
        self._recent += count
        self._longest = max(self._longest, self._silence_now)
        self._silence_now = 0.0

    def stopped(self, now: int) -> Reading:
        """The longest silence since the last such reading, in expected events: `rate * (now - t_last)`, unweighted.

        It has its own signal (part `stop`) and its own past, `silences`; so it is sharp on clumped streams as well.
        """
        self._to_hour(now)
        self._silence(now)
        longest = max(self._longest, self._silence_now)
        self._longest = 0.0
        why_not = self.seasonal.why_not or ("" if self._forecast is not None else "nothing seen yet")
        if self._forecast is not None:
            self.silences.add(now, longest)
        return Reading(
            signal=self._own("stop"),
            at=now,
            surprise=None if why_not else longest,
            normal=1.0,
            now=longest,
            unit="expected events",
            why_not=why_not,
            sentence=f"{self.signal.name}: nothing for as long as usually brings {longest:.3g} events",
        )

    def lasted(self, now: int) -> Reading:
        """Whether most hours of the last day brought more, or fewer, than was forecast a day before each."""
        self._to_hour(now)
        return self.lasting.reading(self._own("lasting"), now, self.seasonal.why_not)

    def tick(self, now: int) -> Reading:
        """What can be said now; the surprise is the largest since the last reading."""
        self._to_hour(now)
        self._silence(now)
        why_not = self.seasonal.why_not
        surprise = None if why_not or self._forecast is None else max(self._peak, 0.0)
        normal, rate = self._pace()
        # Recorded while learning, too: a level is there once the history is long enough.
        if self._forecast is not None:
            self.history.add(now, self._peak)
        reading = Reading(
            signal=self.signal,
            at=now,
            surprise=surprise,
            normal=normal,
            now=rate,
            unit="events/h",
            events=self._events,
            why_not=why_not or ("" if surprise is not None else "nothing seen yet"),
            sentence=_sentence(self.signal, normal, rate),
        )
        self._peak, self._events = 0.0, 0
        return reading

    def deadline(self) -> int | None:
        """When `tick` must be called at the latest; None before the first event."""
        if self._at is None:
            return None
        waits = [HOUR - self._at % HOUR]
        for ladder, rate in zip(self._ladders, self._rates, strict=True):
            if self._forecast is not None and rate > 0.0:
                # The 0.01: woken at a decade, rounding must not wake us again for the same one.
                level = max(2.0, math.floor(ladder.surprise - _BOTH + 0.01) + 1.0) + _BOTH
                waits.append(math.ceil(min(ladder.silence_to(level) / rate, float(HOUR))))
        return self._at + max(1, min(waits))

    def resume(self, now: int) -> None:
        """Nobody watched until now (a restart): what was missed is neither silence nor a new habit."""
        if self._at is not None and now > self._at:
            self._close()
            self._at, self._whole, self._hour_count = now, False, 0.0
            self._silence_now = 0.0
            self._open()

    def accept(self) -> None:
        """Somebody has looked: what comes is judged afresh."""
        for ladder in self._ladders:
            ladder.reset()
        self._peak = self._silence_now = self._longest = 0.0
        self.lasting.accept()

    def _to_hour(self, now: int) -> None:
        """Ends every hour before that of `now`."""
        if self._at is None:
            self._at, self._whole = now, now % HOUR == 0
            return
        behind = now // HOUR - self._at // HOUR
        if behind <= 0:
            return
        if behind > _MOST_HOURS:
            self.resume(now)
            return
        for _ in range(behind):
            self._silence((self._at // HOUR + 1) * HOUR)
            self._close()
            self._whole, self._hour_count = True, 0.0
            self._open()
            for ladder in self._ladders:
                ladder.fade(_FADING)

    def _silence(self, until: int) -> None:
        """Time without events, within an hour; the peak of a silence is at its end."""
        if self._forecast is None:
            self._at = max(until, self._at or until)
            return
        span = self._time(until)
        for ladder, rate in zip(self._ladders, self._rates, strict=True):
            ladder.elapse(span * rate)
            self._peak = max(self._peak, ladder.surprise - _BOTH)

    def _time(self, until: int) -> int:
        """Moves to `until`, never back. Returns the nanoseconds that went by."""
        span = until - (self._at or until)
        if span <= 0:
            return 0
        self._at = until
        self._silence_now += span * self._fastest
        expected = span * self._rate
        fading = math.exp(-expected / _PACE)
        self._recent *= fading
        self._recent_expected = self._recent_expected * fading + _PACE * (1.0 - fading)
        return span

    def _close(self) -> None:
        """The open hour, whose number is that of the moment before `_at`, is over."""
        hour = ((self._at or 1) - 1) // HOUR
        if self._whole and self._day_ahead is not None:
            self.lasting.learn(self._hour_count, self._day_ahead)
        self.seasonal.learn(hour, self._hour_count if self._whole else None)

    def _open(self) -> None:
        """What the hour that begins at `_at` should bring."""
        hour, fastest = (self._at or 0) // HOUR, 0.0
        for place, ahead in enumerate((NEXT_HOUR, NEXT_DAY)):
            forecast = self.seasonal.forecast(hour, ahead)
            if forecast is None:
                return
            expected = max(forecast.mean, _LEAST_EXPECTED)
            self._weights[place] = 1.0 / (1.0 + expected * forecast.excess)
            fastest = max(fastest, expected / HOUR)
            self._rates[place] = expected * self._weights[place] / HOUR
            if ahead == NEXT_HOUR:
                self._forecast, self._rate = forecast, expected / HOUR
            else:
                self._day_ahead = forecast
        self._fastest = fastest

    def _pace(self) -> tuple[float | None, float | None]:
        """Events an hour: usual, and lately."""
        if self._forecast is None:
            return None, None
        usual = self._rate * HOUR
        if self._recent_expected < 1.0:
            return usual, None
        return usual, usual * self._recent / self._recent_expected

    def snapshot(self) -> dict[str, Any]:
        """Plain values for JSON; the reading that is being gathered is part of it."""
        return {
            "at": self._at,
            "count": self._hour_count,
            "whole": self._whole,
            "peak": self._peak,
            "events": self._events,
            "silence": [self._silence_now, self._longest],
            "silences": self.silences.snapshot(),
            "lasting": self.lasting.snapshot(),
            "recent": [self._recent, self._recent_expected],
            "ladders": [ladder.snapshot() for ladder in self._ladders],
            "seasonal": self.seasonal.snapshot(),
            "history": self.history.snapshot(),
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        """What `snapshot` gave. Call `resume` too where events may have been missed since."""
        self.seasonal.restore(kept["seasonal"])
        self.history.restore(kept["history"])
        for ladder, sums in zip(self._ladders, kept["ladders"], strict=True):
            ladder.restore(sums)
        self._at, self._whole = kept["at"], bool(kept["whole"])
        self._hour_count, self._peak = float(kept["count"]), float(kept["peak"])
        self._events = int(kept["events"])
        self._recent, self._recent_expected = (float(value) for value in kept["recent"])
        if "silence" in kept:
            self._silence_now, self._longest = (float(value) for value in kept["silence"])
            self.silences.restore(kept["silences"])
        if "lasting" in kept:
            self.lasting.restore(kept["lasting"])
        self._open()


def _sentence(signal: Signal, normal: float | None, rate: float | None) -> str:
    if normal is None or rate is None:
        return ""
    return f"{signal.name}: {rate:.3g} events an hour, usually {normal:.3g} at this time"
