"""What stands beside the shapes' figures: a dummy that everybody would write first, and river's detectors."""

import importlib
from collections.abc import Callable, Sequence
from statistics import fmean, pstdev

Find = Callable[[Sequence[float]], int | None]
"""From a stream to the index of the first alarm."""


def three_sigma(values: Sequence[float], window: int = 10, learn: int = 60) -> int | None:
    """The mean of the newest ten is more than three standard errors from the mean of all before."""
    for nth in range(learn, len(values)):
        old, new = values[: nth - window + 1], values[nth - window + 1 : nth + 1]
        if abs(fmean(new) - fmean(old)) > 3 * max(pstdev(old), 1e-6) / len(new) ** 0.5:
            return nth
    return None


def rivals() -> dict[str, Find]:
    """By name; without river's where river is not installed."""
    found: dict[str, Find] = {"dummy (3 sigma of 10)": three_sigma}
    try:
        drift = importlib.import_module("river.drift")
    except ImportError:
        return found
    for name in ("ADWIN", "PageHinkley"):
        found[f"river's {name}"] = _river(getattr(drift, name))
    return found


def _river(make: Callable[[], object]) -> Find:
    def find(values: Sequence[float]) -> int | None:
        detector = make()
        for nth, value in enumerate(values):
            detector.update(value)  # type: ignore[attr-defined]  # river has no types
            if detector.drift_detected:  # type: ignore[attr-defined]  # as above
                return nth
        return None

    return find


def beside(changed: Sequence[Sequence[float]], null: Sequence[Sequence[float]], at: int, within: int) -> str:
    """Each rival on the same streams: found in time, and found in vain."""
    said = []
    for name, find in rivals().items():
        places = [find(values) for values in changed]
        timely = sum(place is not None and at <= place < at + within for place in places)
        vain = sum(find(values) is not None for values in null)
        said.append(f"{name}: {timely} of {len(changed)} within {within}, {vain} of {len(null)} null runs")
    if len(said) == 1:
        said.append("river is not installed here")
    return "; ".join(said)
