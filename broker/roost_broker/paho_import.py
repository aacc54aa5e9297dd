"""paho's client, imported without what it needs for proxies alone: `urllib.request`, and with it HTTP and e-mail.

That is 1.6 MB in every process of a device, for a function (`Client._get_proxy`) that is never called here: the socket
is ours (`paho_client`). Who imports `urllib.request` for himself gets the real one.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def _left_out(name: str) -> Iterator[None]:
    """Meanwhile an import of this module does nothing; harmless where it is imported already."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = ModuleType(name)
    try:
        yield
    finally:
        del sys.modules[name]


with _left_out("urllib.request"):
    from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage

__all__ = ["Client", "ConnectFlags", "DisconnectFlags", "MQTTMessage"]
