"""What the commands of `roost feed` share: the settings' section, its store, whether the role runs."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roost_broker.errors import Misuse

if TYPE_CHECKING:
    from roost_edge.feed.places import Places
    from roost_edge.feed.settings import FeedSettings
    from roost_edge.feed.store import Store
    from roost_edge.settings.device import Settings

File = Annotated[Path, typer.Option("--settings", "-s", envvar="ROOST_SETTINGS", help="The device's settings file.")]
DEFAULT = Path("roost.toml")


def feed_of(file: Path) -> "tuple[Settings, FeedSettings, Places]":
    """The device, its section, and where it keeps what. Raises `Misuse` for settings without a feed."""
    from roost_edge.feed.places import places
    from roost_edge.settings import loading

    device = loading.load(file)
    if device.feed is None:
        raise Misuse(f"{file} has no feed.", "Add a line [feed]: an empty section sends nothing and makes the page.")
    return device, device.feed, places(device)


def runs(device: "Settings") -> bool:
    """Whether a feed runs on this device now."""
    from roost_edge.processes.own_process import is_held

    return is_held(device.layout.session("feed.lock"))


def opened(places: "Places") -> "closing[Store]":
    """Its store, to change something: beside a running feed, too."""
    from roost_broker.clock import SystemClock, boot_id
    from roost_edge.feed.store import Store

    return closing(Store(places.store, SystemClock(), boot=boot_id()))
