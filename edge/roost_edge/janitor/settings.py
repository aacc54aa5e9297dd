"""Settings of the store as a whole: `[store]` of a settings file. Light, for every role reads it."""

from msgspec import Struct

from roost_broker.room import Reserve

_MB = 1_000_000


class StoreSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept free of the card, and when somebody is told that its house-keeping does not run."""

    reserve_mb: int = 200
    """Kept free for the record of what happened: pictures give way to it (`roost_broker.room` says in which order).
    A small card keeps a tenth of itself at most. 0: nothing is kept free."""
    look_s: int = 60
    """The card is looked at so often."""
    late_s: int = 300
    """House-keeping that has not run for so long is an alarm; a role looks every 10 seconds."""

    def __post_init__(self) -> None:
        for name, low, high in (("reserve_mb", 0, 10**7), ("look_s", 1, 86_400), ("late_s", 30, 604_800)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} = {value} is not between {low} and {high}")

    @property
    def reserve(self) -> Reserve:
        """As those who keep pictures have it."""
        return Reserve(self.reserve_mb * _MB)
