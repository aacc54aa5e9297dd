"""What a device says of its store: who keeps it, how full it is, and what is wrong with it."""

from typing import Annotated

from msgspec import Meta, field

from roost_broker.messages.parts import Count, Header, Millis, Name, Part, Text


class StoreKeeper(Part, frozen=True, kw_only=True):
    """A role that keeps pictures within a budget, and deletes them."""

    held_bytes: Count
    budget_bytes: Count
    looked_at: Millis | None = None
    """When its house-keeping was last seen to run; left out while nothing is known."""


class StoreAlarm(Part, frozen=True, kw_only=True):
    """Something that a person should see to."""

    kind: Name
    who: Text = ""
    """A keeper; empty for the card."""
    detail: Text = ""


class StoreState(Header, tag_field="schema", tag="roost.store/1", frozen=True, kw_only=True):
    """How a device's store stands, as a process sees it that keeps nothing of it; retained."""

    free_bytes: Count | None = None
    """Left out when the card could not be looked at."""
    size_bytes: Count | None = None
    reserve_bytes: Count = 0
    """What should be free."""
    keepers: dict[str, StoreKeeper] = field(default_factory=dict)
    """By name of the role."""
    records: dict[str, Count] = field(default_factory=dict)
    """Bytes of each database on the card, by its place below the data folder."""
    alarms: Annotated[list[StoreAlarm], Meta(max_length=200)] = field(default_factory=list)
