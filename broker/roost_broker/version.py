"""The version of the installed distribution, as it appears in provenance and states."""

from importlib import metadata


def _installed() -> str:
    try:
        return metadata.version("roost")
    except metadata.PackageNotFoundError:
        return "0"  # run from a folder that was never installed


VERSION: str = _installed()
