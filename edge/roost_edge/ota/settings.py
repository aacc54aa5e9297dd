"""Settings of the OTA agent, with units; `[ota]` in the device's file."""

from typing import Annotated

from msgspec import Meta, Struct, field

from roost_broker.clock import SECOND
from roost_edge.ota.policy import LinePolicy
from roost_models.registry.limits import Limits

_Time = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$(?!\n)")]


class BusySettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the device has better things to do than to install. A return is never put off."""

    motion: bool = True
    """While a camera sees something move."""
    requests_per_min: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """While more requests than this arrive; 0: however many do."""
    hours: tuple[_Time, ...] = ()
    """Local times of day, such as "06:30-20:00"; one may go over midnight."""
    limit_s: Annotated[int, Meta(ge=0, le=31_536_000)] = 43_200
    """The longest that an installation is put off for all this."""


class TrialSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a bundle is granted until it is trusted, and when it is worse than the one before."""

    timeout_s: Annotated[float, Meta(gt=0, le=3600)] = 120.0
    """For its goldens, in a process of their own."""
    memory_mb: Annotated[int, Meta(ge=32, le=65_536)] = 512
    """The same process may hold so much data."""
    tries: Annotated[int, Meta(ge=1, le=100)] = 3
    """A trial without a verdict (too slow) is repeated so often."""
    warm_s: Annotated[float, Meta(gt=0, le=3600)] = 180.0
    """From the start of its process until it is ready to answer."""
    deaths: Annotated[int, Meta(ge=1, le=1000)] = 3
    """So many ends of its process in an hour, and the device returns to the one before."""
    min_requests: Annotated[int, Meta(ge=1, le=1_000_000)] = 50
    min_answered: Annotated[float, Meta(ge=0, le=1)] = 0.5
    """It returns too when, of so many requests, a smaller share was answered."""
    canary: str = "canary"
    """Model of the task with which agreement is counted, where there is one."""


class OtaSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The agent runs where this section is there; which models it cares for they say themselves (`ota = …`)."""

    registry: str
    """An http(s) address, or a folder."""
    root: str
    """File of the registry's root metadata that this device trusts first."""
    ca_file: str = ""
    """Certificates to trust for https instead of the system's."""
    sticks: tuple[str, ...] = ()
    """Folders where a stick with a copy of the registry may be mounted; the same signatures count there."""
    poll_s: Annotated[int, Meta(ge=1, le=86_400)] = 900
    """How often the registry is asked; by up to a third earlier, so that a fleet does not come all at once."""
    retry_s: Annotated[int, Meta(ge=1, le=86_400)] = 60
    """First wait after a failed download; each further one doubles it, up to six hours."""
    report_s: Annotated[int, Meta(ge=1, le=86_400)] = 300
    """The device says how its bundles do at least this often."""
    bytes_per_s: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0
    """Download no faster; 0: as fast as it goes."""
    tags: dict[str, str] = field(default_factory=dict)
    """By which a roll-out may choose devices, such as `site = "north"`."""
    limits: Limits = field(default_factory=Limits)
    busy: BusySettings = field(default_factory=BusySettings)
    trial: TrialSettings = field(default_factory=TrialSettings)

    @property
    def policy(self) -> LinePolicy:
        """The bounds of each line's machine."""
        first = self.retry_s * SECOND
        return LinePolicy(
            retry_first_ns=first,
            retry_ceiling_ns=max(first, 6 * 3600 * SECOND),
            tries=self.trial.tries,
            defer_limit_ns=self.busy.limit_s * SECOND,
            warm_ns=int(self.trial.warm_s * SECOND),
            deaths=self.trial.deaths,
            min_requests=self.trial.min_requests,
            min_answered=self.trial.min_answered,
        )
