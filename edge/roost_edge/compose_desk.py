"""Composition of the role `desk`; see `roles`."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roost_edge.roles import Place, Shell


@contextmanager
def compose_desk(place: "Place", _fault: str) -> "Iterator[Shell]":
    """The desk of this device. It examines in a child process, so the examination's libraries stay out of this one."""
    from roost_edge.desk.about import about
    from roost_edge.desk.examination import Examiner
    from roost_edge.desk.role import Desk
    from roost_edge.janitor.watching import StoreWatching
    from roost_edge.processes.plan import plan

    settings, bus = place.settings, place.bus(kept=False)
    examiner = Examiner(settings, user=place.role.name, timeout_s=settings.desk.doctor_timeout_s, clock=place.clock)
    store = StoreWatching(
        bus,
        place.device,
        [role.name for role in plan(settings) if role.kind in ("decoy", "capture")],
        place.layout.data,
        clock=place.clock,
        settings=settings.store,
        role=place.role.name,
    )
    yield Desk(
        bus,
        place.device,
        examine=examiner.examine,
        about=partial(about, settings, place.clock),
        clock=place.clock,
        session=place.session,
        settings=settings.desk,
        role=place.role.name,
        cameras=tuple(settings.cameras),
        beside=store,
    )
