"""Who gave a receipt: the decoy (it is in the archive here) or the gateway (it is safely on its way to the centre)."""

from typing import Final

from roost_broker.messages import Receipt

GATEWAY: Final = "gateway"
"""What the gateway calls itself in the provenance of its receipts."""


def from_gateway(receipt: Receipt) -> bool:
    """Whether the gateway gave it; every other is the decoy's."""
    path = receipt.provenance.path
    return bool(path) and path[0].component == GATEWAY
