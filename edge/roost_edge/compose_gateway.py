"""Composition of the role `gateway`; see `roles`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from roost_broker.errors import Misuse
from roost_broker.reconnect import ReconnectPolicy

if TYPE_CHECKING:
    from roost_edge.roles import Place, Shell

_POLICY = ReconnectPolicy(ceiling_ns=30_000_000_000)
"""A centre that is away for days is looked for twice a minute."""


@contextmanager
def compose_gateway(place: "Place", _fault: str) -> Iterator["Shell"]:
    """The gateway of this device. Raises `Misuse` where NATS' library is missing."""
    try:
        import nats.aio.client  # noqa: F401  # the gateway imports it when it connects; better to fail at the start
    except ModuleNotFoundError as error:
        remedy = "Install the extra `edge` (pip install 'roost[edge]'), or take [gateway] out of the settings."
        raise Misuse(f"The gateway needs {error.name}, which is not installed.", remedy) from error
    from roost_broker.gateway.role import Gateway
    from roost_broker.gateway.settings import GatewaySettings

    settings = place.settings
    archives = [place.guarded(place.layout.archive(task) / "frames") for task in settings.tasks]
    yield Gateway(
        place.bus(receive_maximum=256),
        place.device,
        settings.gateway or GatewaySettings(),
        place.layout.gateway,
        [place.shown, *archives],  # what is sent at night may have left the first by then
        clock=place.clock,
        session=place.session,
        role=place.role.name,
        policy=_POLICY,
    )
