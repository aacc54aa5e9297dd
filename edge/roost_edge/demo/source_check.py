"""Whether there is anything to see, asked before a single process is started."""

from roost_broker.errors import Misuse, RoostError
from roost_edge.demo.options import Options
from roost_edge.sources.choose import open_source
from roost_edge.sources.settings import CameraSettings


def check_source(options: Options) -> None:
    """Read one picture as the camera's role will. Raises `Misuse` that names --source when there is none.

    Blocks for as long as opening and decoding take. The rendered scene is not asked: it always has something.
    """
    if options.source == "synthetic":
        return
    remedy = "Give a video that plays, a folder with .jpg, .png or .bmp pictures, or leave --source out."
    # Not a single repetition: a folder whose pictures cannot be read would otherwise be gone through again.
    source = open_source(CameraSettings(source=options.source, path=str(options.path), loop=False, realtime=False))
    try:
        source.open()
        frame = source.read()
    except RoostError as error:
        raise Misuse(f"--source {options.path} cannot be used: {error.problem}", remedy) from error
    except OSError as error:  # a folder that may not be listed
        raise Misuse(f"--source {options.path} cannot be read: {error.strerror}.", remedy) from error
    finally:
        source.close()
    if frame is None:
        raise Misuse(f"--source {options.path} holds no picture that can be read.", remedy)
