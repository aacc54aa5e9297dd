"""Whether this environment is the one a bundle was made and checked for (promise V12)."""

from roost_broker.errors import Misuse
from roost_models.bundle.manifest import Manifest
from roost_models.bundle.pins import installed, python_version, satisfies


def check_environment(manifest: Manifest) -> None:
    """Refuse a wrong environment with a sentence (promise V12). Raises `Misuse`."""
    pins = manifest.runtime
    title = f"Bundle {manifest.name} {manifest.version}"
    if not satisfies(python_version(), pins.python):
        raise Misuse(
            f"{title} needs Python {pins.python}; this is {python_version()}.",
            "Run it with that Python, or have it rebuilt and checked for this one.",
        )
    for distribution, spec in pins.packages.items():
        version = installed(distribution)
        if version is None or not satisfies(version, spec):
            raise Misuse(
                f"{title} needs {distribution}{spec}; {_have(distribution, version)}.",
                f"Install it: pip install '{distribution}{spec}'.",
            )
    if pins.engine and not engines_here(manifest):
        wanted = " or ".join(f"{name}{spec}" for name, spec in pins.engine.items())
        here = "; ".join(_have(name, installed(name)) for name in pins.engine)
        raise Misuse(f"{title} needs {wanted}; {here}.", "Install one of them, or have the bundle checked for yours.")


def engines_here(manifest: Manifest) -> list[str]:
    """The pinned engines' distributions that are installed in a fitting version, in the manifest's order."""
    found = {name: installed(name) for name in manifest.runtime.engine}
    return [
        name
        for name, spec in manifest.runtime.engine.items()
        if (version := found[name]) is not None and satisfies(version, spec)
    ]


def _have(distribution: str, version: str | None) -> str:
    return f"{distribution} is not installed" if version is None else f"{distribution} here is {version}"
