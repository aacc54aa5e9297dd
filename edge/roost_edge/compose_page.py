"""Composition of the role `page`; see `roles`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from roost_broker.errors import Misuse

if TYPE_CHECKING:
    from roost_edge.roles import Place, Shell


@contextmanager
def compose_page(place: "Place", _fault: str) -> "Iterator[Shell]":
    """The device's own web page."""
    try:
        from roost_edge.page.role import WebPage
    except ModuleNotFoundError as error:
        remedy = "Install the extra `web` (pip install 'roost[web]'), or take [page] out of the settings."
        raise Misuse(f"The page needs {error.name}, which is not installed.", remedy) from error

    yield WebPage(
        place.bus(kept=False),
        place.settings,
        clock=place.clock,
        session=place.session,
        file=place.settings_file,
        role=place.role.name,
    )
