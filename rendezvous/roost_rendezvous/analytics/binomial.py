"""Exact tails and intervals for shares, and the exact paired test. Pure, and without scipy.

A share of 1,000 in 100,000 differing requests says 1.00 %; the 95 % upper limit says up to 1.053 % (promise E2).
"""

import math

LEVEL = 0.95
_Z = 1.959963984540054
"""Two-sided 95 % of the normal distribution."""
_EPSILON = 1e-15
_NEAR = 1e-14
"""A limit's relative error; the fraction is no better."""
_TINY = 1e-300
_STEPS = 100_000


def at_least(count: int, of: int, expected: float) -> float:
    """Chance of `count` or more of `of` when each is one with the chance `expected`."""
    if count <= 0:
        return 1.0
    if count > of or expected <= 0:
        return 0.0
    return incomplete_beta(count, of - count + 1, expected)


def upper_limit(count: int, of: int, level: float = LEVEL) -> float:
    """Clopper and Pearson's one-sided upper limit of a share: the largest under which seeing no more than `count` of
    `of` is not less likely than 1 - `level`. 1 when nothing is known.
    """
    _check(count, of)
    if count == of:
        return 1.0
    # P(X <= count) falls as p grows, and is 1 - I_p(count + 1, of - count).
    return _solve(count + 1, of - count, level)


def lower_limit(count: int, of: int, level: float = LEVEL) -> float:
    """The one-sided lower limit; 0 when nothing is known."""
    _check(count, of)
    if count == 0:
        return 0.0
    return _solve(count, of - count + 1, 1 - level)


def wilson(count: int, of: int) -> tuple[float, float]:
    """Wilson's two-sided interval at 95 %: (low, high); (0, 1) when nothing is known."""
    _check(count, of)
    if of == 0:
        return 0.0, 1.0
    share = count / of
    centre = share + _Z**2 / (2 * of)
    half = _Z * math.sqrt(share * (1 - share) / of + _Z**2 / (4 * of**2))
    scale = 1 + _Z**2 / of
    low = 0.0 if count == 0 else max(0.0, (centre - half) / scale)
    high = 1.0 if count == of else min(1.0, (centre + half) / scale)
    return low, high


def mcnemar(one: int, other: int) -> float:
    """Two-sided exact p-value that a split of the discordant pairs as uneven as (`one`, `other`) is chance."""
    if one < 0 or other < 0:
        raise ValueError("counts are not negative")
    total, fewer = one + other, min(one, other)
    if one == other:
        return 1.0
    # P(X <= fewer) of a fair coin, on both sides.
    return min(1.0, 2 * incomplete_beta(total - fewer, fewer + 1, 0.5))


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Regularised incomplete beta function I_x(a, b), by its continued fraction (Lentz's way of evaluating it)."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):  # where the fraction converges fast
        return front * _fraction(a, b, x) / a
    return 1 - front * _fraction(b, a, 1 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    result = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d, c = 1 / _away(1 + even * d), _away(1 + even / c)
        result *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d, c = 1 / _away(1 + odd * d), _away(1 + odd / c)
        step = d * c
        result *= step
        if abs(step - 1) < _EPSILON:
            break
    return result


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def _solve(a: float, b: float, wanted: float) -> float:
    """The x at which I_x(a, b) is `wanted`: Newton's steps, bisection where one would lead out of what is known."""
    low, high, x = 0.0, 1.0, a / (a + b)
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    while True:
        beyond = incomplete_beta(a, b, x) - wanted
        if beyond < 0:
            low = x
        else:
            high = x
        slope = math.exp(scale + (a - 1) * math.log(x) + (b - 1) * math.log1p(-x))
        nearer = x - beyond / slope if slope > 0 else low
        if not low < nearer < high:
            nearer = (low + high) / 2
        if nearer in (low, high) or abs(nearer - x) <= _NEAR * nearer:
            return nearer
        x = nearer


def _check(count: int, of: int) -> None:
    if not 0 <= count <= of:
        raise ValueError(f"{count} of {of} is no share")
