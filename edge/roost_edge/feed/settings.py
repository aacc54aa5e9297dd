"""Settings of the feed, each with its unit in its name; light, because every role reads the settings file."""

import string
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct

FIELDS = ("label", "sure", "scores", "camera", "task", "node", "date", "time")
"""What a post's text may be made of."""


class FeedSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is posted, how often, and where to. Without keys nothing leaves the device. Bad values raise ValueError."""

    keys: str = ""
    """File with the account's four OAuth keys, for nobody's eyes but its owner's (`roost feed keys` makes it). Without
    it, or while it is not there, what would be posted is written down and nothing is sent."""
    dry_run: bool = False
    """Send nothing although the keys are there."""
    base_url: str = ""
    """Another server with the service's endpoints, such as `roost feed practise`. Empty: the service itself."""
    media: Literal["v1.1", "v2"] = "v1.1"
    """Which of the service's two endpoints pictures are sent to."""
    timeout_s: float = 30.0
    """The service's patience in return: a request that takes longer has failed."""

    labels: tuple[str, ...] = ()
    """Only these are posted; empty: all but `quiet_labels`. A default answer is never posted."""
    quiet_labels: tuple[str, ...] = ()
    """Labels that are no news, such as an empty nest."""
    min_score: float = 0.6
    """Results below this score are not posted."""
    settle_s: float = 10.0
    """A sighting is watched for so long before its best picture is posted. 0: the first picture, at once."""
    again_s: float = 600.0
    """A sighting that goes on is posted again, as an answer to its first post, at most this often."""
    max_thread: int = 4
    """Posts about one sighting; 1: never again."""
    end_after_s: float = 300.0
    """A sighting ends when no such result came for this long."""
    cooldown_s: float = 900.0
    """After its end, the same label on the same camera is not posted for this long."""
    stale_after_s: float = 900.0
    """A result older than this (the role was away) is not posted: it is news no longer."""
    max_open: int = 50
    """Sightings followed at a time. Beyond it the one silent for longest is ended."""

    text: str = "{sure}\n{scores}\n{camera}, {time}"
    """The post's words. Fields: {label}, {sure} (a sentence that says how sure), {scores} (the best three, a line
    each), {camera}, {task}, {node}, {date}, {time}."""
    max_side: int = 1_280
    """Longest side of a posted picture, in pixels. It is encoded anew, so nothing but its pixels leaves the device."""
    max_picture_bytes: int = 300_000
    """Its quality, then its size, is reduced until it fits."""

    per_day: int = 16
    """Posts to the service in any 24 hours."""
    per_month: int = 480
    """Posts to the service in any 31 days."""
    expiry_s: int = 21_600
    """A post that could not be sent for so long is dropped; on the page and in the Atom feed it stays."""
    max_waiting: int = 40
    """Posts kept for a service that cannot be reached. Beyond it answers go first, then the oldest."""
    first_retry_s: float = 30.0
    """Wait after the first failure; each further one doubles it."""
    longest_retry_s: float = 3_600.0
    """The longest wait that is our own idea. The service's own word on its limits may be longer."""

    replies: Literal["off", "mentions", "search"] = "mentions"
    """How answers of people are found, to be offered as label suggestions."""
    replies_every_s: float = 21_600.0
    """How often the service is asked for answers; many accounts pay for each."""

    site: bool = True
    """Write the same feed as a page and as Atom."""
    site_folder: str = ""
    """Where to; empty: `feed/site` below the data folder."""
    site_url: str = ""
    """Where a web server shows that folder, for the links in the Atom feed."""
    title: str = ""
    """Of the page; empty: the device's name."""
    max_entries: int = 40
    """The newest so many posts are on the page and in the Atom feed; older pictures are removed."""

    def __post_init__(self) -> None:
        for name, low, high, unit in (
            ("timeout_s", 1.0, 600.0, " seconds"),
            ("min_score", 0.0, 1.0, ""),
            ("settle_s", 0.0, 3_600.0, " seconds"),
            ("again_s", 1.0, 604_800.0, " seconds"),
            ("max_thread", 1, 25, " posts"),
            ("end_after_s", 1.0, 86_400.0, " seconds"),
            ("cooldown_s", 0.0, 604_800.0, " seconds"),
            ("stale_after_s", 1.0, 604_800.0, " seconds"),
            ("max_open", 1, 500, " sightings"),
            ("max_side", 64, 4_096, " pixels"),
            ("max_picture_bytes", 10_000, 5_000_000, " bytes"),
            ("per_day", 1, 2_400, " posts"),
            ("per_month", 1, 50_000, " posts"),
            ("expiry_s", 60, 2_592_000, " seconds"),
            ("max_waiting", 1, 500, " posts"),
            ("first_retry_s", 1.0, 3_600.0, " seconds"),
            ("longest_retry_s", 1.0, 86_400.0, " seconds"),
            ("replies_every_s", 60.0, 2_592_000.0, " seconds"),
            ("max_entries", 1, 500, " posts"),
        ):
            value = getattr(self, name)
            if not low <= value <= high:  # also refuses NaN
                raise ValueError(f"{name} is {value}, but must lie between {low:g} and {high:g}{unit}")
        if self.settle_s >= self.end_after_s:
            raise ValueError("settle_s must be less than end_after_s: a sighting would end before it was posted")
        _check_text(self.text)
        for name in ("base_url", "site_url"):
            _check_url(name, getattr(self, name))


def _check_text(text: str) -> None:
    try:
        used = {field for _, field, _, _ in string.Formatter().parse(text) if field is not None}
    except ValueError as error:
        raise ValueError(f"text cannot be read: {error}. Write a brace that is meant as one twice: {{{{") from error
    if unknown := used - set(FIELDS):
        raise ValueError(f"text has no field {{{min(unknown)}}}; it has: {', '.join(FIELDS)}")
    if not used & {"label", "sure", "scores"}:
        raise ValueError("text says nothing of the result: use {sure}, {scores} or {label}")


def _check_url(name: str, url: str) -> None:
    if not url:
        return
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{name} is {url!r}, but must be like https://example.org/birds")
    if name == "base_url" and parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise ValueError(f"{name} is {url!r}: without https only this device itself is spoken to")
