"""Bounds and knobs of the watch over shapes. What is normal is learnt; nothing here says what that is."""

import msgspec

SECOND = 1_000_000_000
HOUR = 3600 * SECOND


class ShapeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Validated when made."""

    least: int = 30
    """Observations of a stream before anything is said about it."""
    least_vectors: int = 60
    """Score vectors of a model before there are clusters."""
    memory: int = 100_000
    """Observations of a stream after which the weight of the older half is halved: its medium-term history."""
    most_streams: int = 2_000
    """Streams of a task; those beyond are left out and counted."""
    most_labels: int = 64
    """Labels of a model that are watched by name."""
    most_fields: int = 64
    """Fields of the input, and of the state, that are watched."""
    period_values: int = 1_000
    """So many values close a period of the comparison of tails."""
    period_ns: int = HOUR
    """A period with fewer closes after so long, if it has `period_least`."""
    period_least: int = 100
    band_pairs: int = 200
    """Joined answers of a model and the canary that make one record of how well they usually agree."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if getattr(self, name) < 2:
                raise ValueError(f"{name} is {getattr(self, name)}, and at least 2")
        if self.memory < 400 or self.least_vectors < 20:
            raise ValueError("memory is at least 400 observations, least_vectors at least 20")
