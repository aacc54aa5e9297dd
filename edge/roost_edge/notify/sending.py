"""Through apprise, in a process of its own that ends when everybody has been told: it costs 20 MB and a second.

`python -m roost_edge.notify.sending --die-with PID` reads an `Errand` (JSON) from its input, and says a line for each
address: its key, and `sent`, `failed` or `unknown`. Addresses come by the input, never on a command line. What apprise,
requests and urllib3 log can hold whole addresses, so they log nothing, and nobody reads this process's stderr.
"""

import argparse
import base64
import logging
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from roost_edge.notify.addresses import Address
from roost_edge.processes.own_process import die_with_parent

_SILENT: Final = ("apprise", "requests", "urllib3")


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """One notice for these addresses; without a body they are only looked at."""

    addresses: tuple[Address, ...]
    title: str = ""
    body: str = ""
    picture: str = ""
    """JPEG, base64."""


def run(errand: Errand) -> Iterator[str]:
    """Do it; a line for each address, as soon as it is known."""
    with tempfile.TemporaryDirectory(prefix="roost-notify-") as folder:
        attached: dict[str, str] = {}
        if errand.picture:
            file = Path(folder, "picture.jpg")
            file.write_bytes(base64.b64decode(errand.picture))
            attached = {"attach": str(file)}
        for address in errand.addresses:
            service = _made(address)
            if service is None:
                yield f"{address.key} unknown"
            elif not errand.body:
                yield f"{address.key} sent"
            else:
                taken = service.notify(title=errand.title, body=errand.body, **attached)
                yield f"{address.key} {'sent' if taken else 'failed'}"


def _made(address: Address) -> Any:
    """apprise's object for this address; None where it has none."""
    import apprise

    for name in _SILENT:
        logger = logging.getLogger(name)
        logger.disabled, logger.propagate = True, False
    service = apprise.Apprise()
    return service if service.add(address.url) else None


def main() -> None:
    """See the module."""
    arguments = argparse.ArgumentParser(description="Send one notice.")
    arguments.add_argument("--die-with", type=int, default=0, metavar="PID")
    parent = arguments.parse_args().die_with
    if parent:
        die_with_parent(parent)
    for line in run(msgspec.json.decode(sys.stdin.buffer.read(), type=Errand)):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
