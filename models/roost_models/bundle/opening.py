"""Open a bundle, whichever form it has."""

from pathlib import Path

from roost_broker.errors import Misuse
from roost_models.bundle.folder import Bundle, open_folder
from roost_models.bundle.packing import open_packed


def open_bundle(path: Path, *, cache: Path | None = None) -> Bundle:
    """Open a folder or a `.roost` file. Raises `Misuse` (no bundle there) or `Malformed` (a bad one).

    A `.roost` file is unpacked below `cache`, by default `packing.default_cache()`.
    """
    try:
        if path.is_dir():
            return open_folder(path)
        if path.is_file():
            return open_packed(path, cache)
    except OSError as error:
        raise Misuse(
            f"The bundle {path} cannot be opened: {error.strerror or error} ({error.filename or path}).",
            "Check that this user may read it, and that there is room where packed bundles are unpacked.",
        ) from error
    raise Misuse(f"There is no bundle at {path}.", "Give a folder with a manifest.json, or a .roost file.")
