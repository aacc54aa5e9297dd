"""What the feed's tests share: results, pictures, drafts, settings."""

import io
from pathlib import Path

from PIL import Image

from roost_broker.clock import VirtualClock
from roost_broker.messages import FrameRef
from roost_edge.feed import keys
from roost_edge.feed.practise.world import PRACTISE_KEYS
from roost_edge.feed.reading import Seen
from roost_edge.feed.rows import Draft
from roost_edge.feed.settings import FeedSettings
from roost_edge.feed.store import Store

BOOT = "b" * 32
KEYS = keys.Keys(**{name: getattr(PRACTISE_KEYS, name) for name in keys.NAMES})
FRAME = FrameRef(sha256="f" * 64, bytes=1, path="ff/f.jpg", width=64, height=48)


def number(value: int) -> str:
    """A request id."""
    return f"{value:032x}"


def jpeg(color: tuple[int, int, int] = (90, 140, 60), size: tuple[int, int] = (320, 240)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, color).save(out, "JPEG")
    return out.getvalue()


def seen(request: int, label: str = "blue jay", score: float = 0.9, *, camera: str = "nest", age_s: int = 0) -> Seen:
    best = ((label, score), ("rhode island red", 0.06), ("empty", 0.01))
    return Seen(number(request), "door", camera, label, score, best, FRAME, 1_800_000_000_000, age_s * 10**9)


def draft(request: int, *, sighting: int | None = None, ordinal: int = 0, text: str = "") -> Draft:
    return Draft(
        request_id=number(request),
        sighting_id=number(request if sighting is None else sighting),
        ordinal=ordinal,
        task="door",
        camera="nest",
        label="blue jay",
        text=text or f"Blue jay, very likely.\nblue jay 90 %\nnest, number {request}",
        alt="Picture of the camera nest.",
        picture=jpeg(),
        frame="f" * 64,
        at_ms=1_800_000_000_000 + request,
    )


def settings(url: str = "", **others: object) -> FeedSettings:
    return FeedSettings(base_url=url, first_retry_s=30.0, **others)  # type: ignore[arg-type]  # as a test wants them


def store(folder: Path, clock: VirtualClock, *, boot: str = BOOT) -> Store:
    return Store(folder / "feed.db", clock, boot=boot)
