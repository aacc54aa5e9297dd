"""Where the feed of a device keeps what: the role, the commands and the doctor agree by this."""

from dataclasses import dataclass
from pathlib import Path

from roost_edge.settings.device import Settings


@dataclass(frozen=True, slots=True)
class Places:
    """Files and folders of one feed."""

    store: Path
    folder: Path
    """Of the dry run."""
    site: Path


def places(settings: Settings) -> Places:
    """Those of this device."""
    folder = settings.layout.feed
    own = settings.feed.site_folder if settings.feed is not None else ""
    return Places(store=folder / "feed.db", folder=folder, site=Path(own) if own else folder / "site")
