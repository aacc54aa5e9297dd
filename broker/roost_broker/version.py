"""The version of the installed distribution, as it appears in provenance and states."""

import sys
from pathlib import Path

_NAME = "roost-"
_KIND = ".dist-info"


def _installed() -> str:
    """Read from the name of the folder that an installation leaves beside its packages (PEP 376, PEP 427).

    `importlib.metadata` does the same, and costs every role more than a megabyte for readers of zip files and mail.
    """
    for place in sys.path:
        for folder in sorted(Path(place or ".").glob(f"{_NAME}*{_KIND}")):
            return folder.name.removeprefix(_NAME).removesuffix(_KIND)
    return "0"  # run from a folder that was never installed


VERSION: str = _installed()
