"""The newest alert's picture of each camera, retained. Made beside the alerts, which never wait for a picture."""

import asyncio
from collections import Counter

from roost_broker.bus import Bus
from roost_broker.errors import FrameUnavailable, PeerError, QueueFull
from roost_broker.frames import FrameStore
from roost_broker.messages import FrameRef
from roost_broker.topics import NodeTopics
from roost_edge.alerts.settings import AlertSettings
from roost_edge.alerts.thumbnail import thumbnail


class Snapshots:
    """Turns wanted frames into small retained pictures, the newest only. Failures are counted, never raised."""

    def __init__(
        self, bus: Bus, topics: NodeTopics, frames: FrameStore, settings: AlertSettings, counts: Counter[str]
    ) -> None:
        self._bus = bus
        self._topics = topics
        self._frames = frames
        self._settings = settings
        self._counts = counts
        self._wanted: dict[str, FrameRef] = {}  # one per camera: an overtaken picture is not made
        self._shown: dict[str, bytes] = {}
        self._wake = asyncio.Event()

    def want(self, camera: str, frame: FrameRef) -> None:
        """Show this frame soon, unless a newer one of the camera overtakes it."""
        if self._settings.snapshots:
            self._wanted[camera] = frame
            self._wake.set()

    def republish(self) -> None:
        """Tell a broker that may have forgotten."""
        for camera, picture in self._shown.items():
            self._publish(camera, picture)

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._wanted:
                camera = next(iter(self._wanted))
                await self._show(camera, self._wanted.pop(camera))

    async def _show(self, camera: str, frame: FrameRef) -> None:
        try:
            picture = await asyncio.to_thread(self._make, frame)
        except FrameUnavailable as error:
            self._counts[f"snapshot-frame-{error.reason}"] += 1
        except PeerError:
            self._counts["snapshot-failed"] += 1
        else:
            self._shown[camera] = picture
            self._publish(camera, picture)

    def _make(self, frame: FrameRef) -> bytes:
        settings = self._settings
        return thumbnail(self._frames.read(frame), width=settings.snapshot_width, max_bytes=settings.snapshot_max_bytes)

    def _publish(self, camera: str, picture: bytes) -> None:
        try:
            self._bus.publish(self._topics.camera(camera).snapshot, picture, retain=True)
        except QueueFull:
            self._counts["snapshot-queue-full"] += 1
        else:
            self._counts["snapshots"] += 1
