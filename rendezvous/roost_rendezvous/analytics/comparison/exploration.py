"""Who got which model, and what another choice would have brought (promises E12, E14, C5). Pure.

A roll-out by hash gives a user one experience, and a share that grows takes nobody's away. Where the schedule draws by
lot it records the chance (`propensity`), so that the value of always choosing one model can be estimated from what
was chosen at random: each answer counts one over its chance (Horvitz and Thompson; self-normalised: Hájek).
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.rows import Row

MOST_KEYS = 1_000_000
"""Users told apart."""
SURE = 3.0
"""Standard errors within which a share is as it should be."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """From this moment on so large a share is to get the new model. Shares only grow."""

    at: int
    share: float


class StepShare(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What came of one step, counted by user."""

    share: float
    users: int
    served: int
    errors: float
    """How many standard errors the share of users that got it is off."""
    as_planned: bool


class Stickiness(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether everybody had one experience."""

    steps: list[StepShare]
    switched_back: int
    """Users that had the new model and lost it while the share only grew; 0 is right."""
    mixed: int
    """Users that got both within one step; 0 is right."""
    left_out: int = 0
    """Answers that were nobody's choice: fallback, override, default, or without the tag."""


@dataclass(slots=True)
class _User:
    step: int = -1
    had: bool = False
    had_in_step: bool = False
    other_in_step: bool = False
    mixed: bool = False
    back: bool = False


def sticky(rows: Iterable[Row], model: str, tag: str, steps: Sequence[Step]) -> Stickiness:
    """Check a roll-out of `model` by the values of a tag; rows in order of time. Raises `Misuse`."""
    shares = [step.share for step in steps]
    if not steps or sorted(shares) != shares or sorted(step.at for step in steps) != [step.at for step in steps]:
        raise Misuse("Steps of a roll-out are in order of time, and shares only grow.")
    users: dict[str, _User] = {}
    reached: list[dict[str, bool]] = [{} for _ in steps]
    left_out = 0
    for row in rows:
        step = sum(row.at >= one.at for one in steps) - 1
        key = row.tags.get(tag, "")
        if step < 0:
            continue
        if not key or row.cause != "preferred":
            left_out += 1
            continue
        user = users.setdefault(key, _User())
        if len(users) > MOST_KEYS:
            raise Misuse(f"There are more than {MOST_KEYS:,} values of the tag {tag}.", "Take a shorter period.")
        served = row.answered_by == model
        if user.step != step:
            user.step, user.had_in_step, user.other_in_step = step, False, False
        user.back = user.back or (user.had and not served)
        user.had = user.had or served
        user.had_in_step = user.had_in_step or served
        user.other_in_step = user.other_in_step or not served
        user.mixed = user.mixed or (user.had_in_step and user.other_in_step)
        reached[step][key] = reached[step].get(key, False) or served
    return Stickiness(
        steps=[_share(share, seen) for share, seen in zip(shares, reached, strict=True)],
        switched_back=sum(user.back for user in users.values()),
        mixed=sum(user.mixed for user in users.values()),
        left_out=left_out,
    )


def _share(share: float, seen: dict[str, bool]) -> StepShare:
    count, served = len(seen), sum(seen.values())
    spread = math.sqrt(share * (1 - share) / count) if count else 0.0
    off = served / count - share if count else 0.0
    errors = off / spread if spread > 0 else (0.0 if abs(off) < 1e-12 else math.copysign(math.inf, off))
    return StepShare(share=share, users=count, served=served, errors=errors, as_planned=abs(errors) <= SURE)


class OffPolicy(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What always choosing one model would have been worth."""

    model: str
    value: float
    """Mean reward, weighted and normalised by the weights."""
    error: float
    """Its standard error."""
    unnormalised: float
    """Without normalising: unbiased, and of more spread."""
    chosen: int
    """Requests in which it was chosen: only these say anything."""
    of: int
    effective: float
    """So many evenly weighted requests say as much."""
    least_chance: float
    left_out: int = 0
    """Rows without a chance, a reward, or with an answer that was not the one drawn."""


def off_policy(rows: Iterable[Row], model: str, reward: Callable[[Row], float | None]) -> OffPolicy | None:
    """The value of always choosing `model`. None when it was never drawn by lot.

    `reward` is None where it is not known. A row whose drawn model could not answer (fallback, default) is left out:
    then who was drawn is not known.
    """
    weights: list[float] = []
    rewards: list[float] = []
    chances: list[float] = []
    left_out = 0
    for row in rows:
        value = reward(row)
        if row.propensity is None or not 0 < row.propensity <= 1 or row.cause != "preferred" or value is None:
            left_out += 1
            continue
        drawn = row.answered_by == model
        weights.append(1 / row.propensity if drawn else 0.0)
        rewards.append(value if drawn else 0.0)
        if drawn:
            chances.append(row.propensity)
    if not chances:
        return None
    weight, gained = np.array(weights), np.array(rewards)
    total = float(weight.sum())
    value = float(weight @ gained) / total
    # Linearised (delta method), as for any ratio of two means.
    error = float(np.sqrt(((weight * (gained - value)) ** 2).sum())) / total
    return OffPolicy(
        model=model,
        value=value,
        error=error,
        unnormalised=float((weight * gained).mean()),
        chosen=len(chances),
        of=int(weight.size),
        effective=total**2 / float((weight**2).sum()),
        least_chance=min(chances),
        left_out=left_out,
    )


def right(row: Row) -> float | None:
    """The usual reward: 1 where the official label is the true one; None where nobody knows."""
    return float(row.label == row.truth) if row.truth else None
