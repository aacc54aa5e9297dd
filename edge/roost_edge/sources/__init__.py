"""Where frames come from: one protocol, chosen by one line of the settings.

Nothing heavy is imported here; a source loads numpy, OpenCV or Picamera2 when it is opened.
"""

from roost_edge.sources.choose import open_source
from roost_edge.sources.frame import CameraFailed, Frame, FrameSource
from roost_edge.sources.settings import CameraSettings

__all__ = ["CameraFailed", "CameraSettings", "Frame", "FrameSource", "open_source"]
