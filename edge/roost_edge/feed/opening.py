"""Which service the settings mean now: the dry run until the keys are there, and whenever it is wanted."""

from importlib.util import find_spec
from pathlib import Path

from roost_broker.clock import Clock
from roost_broker.errors import Misuse
from roost_edge.feed import keys
from roost_edge.feed.service import DryRun, Service
from roost_edge.feed.settings import FeedSettings


class Opening:
    """Looked at before each post: keys may come while the role runs. tweepy is imported when they are there."""

    def __init__(self, settings: FeedSettings, folder: Path, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._dry = DryRun(folder / "dry-run", max_entries=settings.max_entries)
        self._real: Service | None = None

    def why_dry(self) -> str:
        """Why nothing is sent; empty when it is. Raises `Misuse` for a file of keys that is not safe or unreadable."""
        settings = self._settings
        if settings.dry_run:
            return "the settings want it so (feed.dry_run)"
        if not settings.keys:
            return "the settings name no keys (feed.keys)"
        if self._real is None:
            if keys.load(keys.given(settings.keys)) is None:
                return f"there are no keys in {settings.keys} yet"
            if find_spec("tweepy") is None:
                raise Misuse("There are keys, and tweepy, which posts, is not installed.", "pip install 'roost[feed]'")
        return ""

    def service(self) -> Service:
        """Where a post goes now. Raises `Misuse` as `why_dry` does."""
        if self.why_dry():
            return self._dry
        if self._real is None:
            found = keys.load(keys.given(self._settings.keys))
            if found is None:
                return self._dry
            from roost_edge.feed.twitter import Twitter

            self._real = Twitter(found, self._settings, self._clock)
        return self._real
