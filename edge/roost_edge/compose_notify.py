"""Composition of the role `notify`; see `roles`."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from roost_broker.errors import Misuse

if TYPE_CHECKING:
    from roost_edge.roles import Place, Shell


@contextmanager
def compose_notify(place: "Place", _fault: str) -> "Iterator[Shell]":
    """Notices to people's own services. apprise is imported by the role when there is something to send."""
    from roost_edge.notify import addresses
    from roost_edge.notify.role import NotifyRole

    settings = place.settings.notify
    if settings is None:
        raise Misuse("The settings have no [notify].", "Add the section, with `urls`.")
    if find_spec("apprise") is None:
        raise Misuse("Notices go out by apprise, which is not installed.", "pip install apprise, or take [notify] out.")
    yield NotifyRole(
        place.bus(),
        place.device,
        settings,
        addresses.load(addresses.given(settings.urls)),
        place.shown,
        queue=place.layout.notices,
        clock=place.clock,
        session=place.session,
        role=place.role.name,
    )
