"""Figures of a report that are made of other figures. Pure."""

from roost_models.assessment.durations import Durations
from roost_models.assessment.report import DeviceEstimate, Ratios, Side

FEW_TIMES = 20
"""Archived times of the champion below which a device's speed is not estimated."""


def ratios(candidate: Side, champion: Side | None) -> Ratios:
    """Candidate to champion; what is not known of one of them is left out."""
    if champion is None:
        return Ratios()
    mine, other = candidate.latency, champion.latency
    memory = None
    if candidate.memory is not None and champion.memory is not None and champion.memory.peak_rss_mb:
        memory = round(candidate.memory.peak_rss_mb / champion.memory.peak_rss_mb, 3)
    if mine is None or other is None:
        return Ratios(memory=memory)
    return Ratios(p50=round(mine.p50_ms / other.p50_ms, 3), p99=round(mine.p99_ms / other.p99_ms, 3), memory=memory)


def estimate(candidate: Side, factor: float | None, how: str) -> DeviceEstimate | None:
    """What the candidate would take on a device that is so many times slower; None when nobody knows how many."""
    if factor is None or candidate.latency is None:
        return None
    return DeviceEstimate(
        factor=round(factor, 3),
        how=how,
        candidate_p50_ms=round(candidate.latency.p50_ms * factor, 3),
        candidate_p99_ms=round(candidate.latency.p99_ms * factor, 3),
    )


def device_factor(told: float | None, times: Durations, champion: Side | None) -> tuple[float | None, str]:
    """How many times slower the devices are, and how that is known: as told, or by the champion's archived times."""
    if told is not None:
        return told, "as told"
    there = times.quantile_ms(0.5)
    if champion is None or champion.latency is None or there is None or times.count < FEW_TIMES:
        return None, ""
    return there / champion.latency.p50_ms, f"the champion's {times.count} archived times against its times here"
