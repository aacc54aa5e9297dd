"""As whom a process of this device connects to its broker.

With `broker.passwords` each role has a user of its name. Its secret comes from systemd (`LoadCredential=mqtt:…`, and
`mqtt-<role>:…` where several roles share a process), so that the role need not be able to read the folder with
everybody's; else from the folder.
"""

import os
from pathlib import Path
from typing import Final

from msgspec import structs

from roost_broker.passwords import read_secret
from roost_broker.settings import BrokerSettings

OPERATOR: Final = "operator"
"""Who may order everything. He connects to `BrokerSettings.for_operators`."""
WATCHER: Final = "watcher"
"""Who may look at everything."""
_CREDENTIAL: Final = "mqtt"


def as_user(settings: BrokerSettings, user: str, *, secret_of: str = "") -> BrokerSettings:
    """The same settings with this user's name and secret; unchanged where there are no passwords.

    `secret_of` is the user whose secret it is, for the second sessions of a role. Raises `Misuse` without a secret.
    """
    if not settings.passwords:
        return settings
    given = os.environ.get("CREDENTIALS_DIRECTORY", "")
    places = [Path(given, f"{_CREDENTIAL}-{secret_of or user}"), Path(given, _CREDENTIAL)] if given else []
    path = next((place for place in places if place.exists()), Path(settings.passwords, secret_of or user))
    return structs.replace(settings, username=user, password=read_secret(path), passwords="")


def as_operator(settings: BrokerSettings) -> BrokerSettings:
    """For an operator's command: its user, and the port where he may have several sessions."""
    return structs.replace(as_user(settings, OPERATOR), port=settings.for_operators)
