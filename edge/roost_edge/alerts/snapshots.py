"""The newest alert's picture of each camera, retained. Made beside the alerts, which never wait for a picture."""

import asyncio
import base64
from collections import Counter

from roost_broker.bus import Bus
from roost_broker.clock import Clock
from roost_broker.errors import FrameUnavailable, PeerError, QueueFull
from roost_broker.frames import FrameStore
from roost_broker.headers import new_header
from roost_broker.messages import FrameRef, Snapshot, encode
from roost_broker.topics import NodeTopics
from roost_edge.alerts.settings import AlertSettings
from roost_edge.alerts.sightings import Picture
from roost_edge.alerts.thumbnail import thumbnail


class Snapshots:
    """Turns wanted frames into small retained pictures, the newest only. A failure costs the picture and is counted.

    `bare`: publish the picture alone, too, for programs that take no message around it.
    """

    def __init__(
        self,
        bus: Bus,
        topics: NodeTopics,
        frames: FrameStore,
        settings: AlertSettings,
        clock: Clock,
        counts: Counter[str],
        *,
        bare: bool = False,
    ) -> None:
        self._bare = bare
        self._bus = bus
        self._topics = topics
        self._frames = frames
        self._settings = settings
        self._clock = clock
        self._counts = counts
        self._wanted: dict[str, Picture] = {}  # one per camera: an overtaken picture is not made
        self._shown: dict[str, tuple[bytes, bytes]] = {}  # the message, and the picture alone
        self._wake = asyncio.Event()

    def want(self, picture: Picture) -> None:
        """Show this soon, unless a newer one of the camera overtakes it."""
        if self._settings.snapshots:
            self._wanted[picture.camera] = picture
            self._wake.set()

    def republish(self) -> None:
        """Tell a broker that may have forgotten."""
        for camera in self._shown:
            self._publish(camera)

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._wanted:
                camera = next(iter(self._wanted))
                await self._show(self._wanted.pop(camera))

    async def _show(self, wanted: Picture) -> None:
        try:
            small = await asyncio.to_thread(self._make, wanted.frame)
        except FrameUnavailable as error:
            self._counts[f"snapshot-frame-{error.reason}"] += 1
        except (PeerError, OSError):
            self._counts["snapshot-failed"] += 1
        else:
            self._shown[wanted.camera] = (self._write(wanted, small), base64.b64encode(small))
            self._publish(wanted.camera)

    def _make(self, frame: FrameRef) -> bytes:
        settings = self._settings
        return thumbnail(self._frames.read(frame), width=settings.snapshot_width, max_bytes=settings.snapshot_max_bytes)

    def _write(self, wanted: Picture, small: bytes) -> bytes:
        header = new_header(self._clock, self._topics.node, "alerts")
        return encode(
            Snapshot(
                **header._asdict(),
                camera=wanted.camera,
                label=wanted.label,
                request_id=wanted.caused_by,
                picture=base64.b64encode(small).decode("ascii"),
            )
        )

    def _publish(self, camera: str) -> None:
        topics = self._topics.camera(camera)
        message, picture = self._shown[camera]
        try:
            self._bus.publish(topics.snapshot, message, retain=True)
            if self._bare:
                self._bus.publish(topics.picture, picture, retain=True)
        except QueueFull:
            self._counts["snapshot-queue-full"] += 1
        else:
            self._counts["snapshots"] += 1
