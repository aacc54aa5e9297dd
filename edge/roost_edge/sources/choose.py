"""From settings to a source."""

from roost_broker.clock import Clock, SystemClock
from roost_edge.sources.frame import FrameSource
from roost_edge.sources.settings import CameraSettings


def open_source(settings: CameraSettings, clock: Clock | None = None) -> FrameSource:
    """The source that the settings name, not yet opened: the reader calls `open()` where blocking is harmless."""
    clock = clock or SystemClock()
    chosen = _chosen(settings, clock)
    if not settings.faults:
        return chosen
    from roost_edge.sources.faulty import FaultySource

    return FaultySource(chosen, settings.faults, clock)


def _chosen(settings: CameraSettings, clock: Clock) -> FrameSource:
    # Imported only when chosen: each pulls in its own heavy library.
    match settings.source:
        case "synthetic":
            from roost_edge.sources.synthetic import SyntheticSource

            return SyntheticSource(settings, clock)
        case "video":
            from roost_edge.sources.video import VideoSource

            return VideoSource(settings, clock)
        case "folder":
            from roost_edge.sources.folder import FolderSource

            return FolderSource(settings, clock)
        case "opencv":
            from roost_edge.sources.opencv import OpenCvSource

            return OpenCvSource(settings, clock)
        case "picamera":
            from roost_edge.sources.picamera import PicameraSource

            return PicameraSource(settings, clock)
