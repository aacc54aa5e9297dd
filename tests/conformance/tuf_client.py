"""Our reader behind the command line that The Update Framework's conformance cases speak.

`scripts/tuf-conformance CHECKOUT` runs the cases with it; they are never part of this repository. The reader keeps its
cache in a hidden folder of the one given, and what it trusts is copied out for the cases to look at.
"""

import argparse
import shutil
import sys
import urllib.parse
from pathlib import Path

from roost_broker.errors import RoostError
from roost_models.registry.errors import RegistryRefused
from roost_models.registry.reader import RegistryReader


def main() -> int:
    """0: done; 1: refused, or not to be had."""
    arguments = parsed()
    folder: Path = arguments.metadata_dir
    cache = folder / ".roost"
    try:
        if arguments.command == "init":
            cache.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(arguments.trusted_root, cache / "trusted-root")
            shutil.copyfile(arguments.trusted_root, folder / "root.json")
            return 0
        location = arguments.metadata_url.rstrip("/").rpartition("/")[0]
        reader = RegistryReader(location, cache, (cache / "trusted-root").read_bytes())
        try:
            reader.refresh()
            for name in arguments.target_name or ():
                keep(reader.document(name), name, arguments.target_dir)
        finally:
            show(cache / "metadata", folder)
    except RoostError as error:
        print(f"{getattr(error, 'reason', type(error).__name__)}: {error}", file=sys.stderr)
        return 1
    return 0


def keep(data: bytes | None, name: str, folder: Path) -> None:
    """A target where the cases look for it; not written again when it is there."""
    if data is None:
        raise RegistryRefused("not-published", f"{name} is not signed by anybody.")
    path = folder / urllib.parse.quote(name, safe="")
    if not path.exists() or path.read_bytes() != data:
        path.write_bytes(data)


def show(trusted: Path, folder: Path) -> None:
    """Copies of the metadata that are trusted now."""
    for path in trusted.glob("*.json"):
        shutil.copyfile(path, folder / path.name)


def parsed() -> argparse.Namespace:
    """The arguments as the cases give them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--metadata-url")
    parser.add_argument("--metadata-dir", type=Path, required=True)
    parser.add_argument("--target-name", action="append")
    parser.add_argument("--target-dir", type=Path)
    parser.add_argument("--target-base-url")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init").add_argument("trusted_root", type=Path)
    commands.add_parser("refresh")
    commands.add_parser("download")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
