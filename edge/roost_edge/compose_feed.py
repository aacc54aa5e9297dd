"""Composition of the role `feed`; see `roles`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from roost_broker.errors import Misuse

if TYPE_CHECKING:
    from roost_edge.roles import Place, Shell


@contextmanager
def compose_feed(place: "Place", _fault: str) -> "Iterator[Shell]":
    """The feed of this device. tweepy is imported when there are keys and something to post, not here."""
    from roost_edge.feed.places import places
    from roost_edge.feed.role import FeedRole

    settings = place.settings
    if settings.feed is None:
        raise Misuse("The settings have no [feed].", "Add the section; it may be empty: then nothing is sent.")
    yield FeedRole(
        place.bus(),
        place.device,
        [settings.task_topics(task) for task in settings.tasks],
        settings.feed,
        place.shown,
        cameras=tuple(settings.cameras),
        places=places(settings),
        clock=place.clock,
        session=place.session,
        role=place.role.name,
    )
