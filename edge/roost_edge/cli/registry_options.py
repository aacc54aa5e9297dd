"""What the commands about the registry share: folders of keys, the passphrase, how many of how many must sign."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roost_broker.errors import Misuse

if TYPE_CHECKING:
    from roost_models.registry.setting_up import Quorum
    from roost_models.registry.writer import Registry

RootKeys = Annotated[
    Path | None, typer.Option("--root-keys", metavar="DIR", help="The folder with the offline keys: a stick.")
]
MoreKeys = Annotated[list[Path] | None, typer.Option("--keys", metavar="DIR", help="A further folder with keys.")]
PhraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="Its first line opens encrypted keys; else $ROOST_KEY_PASSPHRASE."),
]
Author = Annotated[str, typer.Option(help="Who does it; kept with it. Your user name if not given.")]


def registry_of(
    centre: Path, folders: list[Path], passphrase_file: Path | None, *, must_exist: bool = True
) -> "Registry":
    """The centre's registry, with the keys of these folders at hand. Raises `Misuse` when there is none, or no folder.

    Before anything else is looked at: with a wrong --centre, all that follows would complain of what is not missing.
    """
    from roost_broker.centre.layout import CentreLayout
    from roost_models.registry.writer import Registry

    root = CentreLayout(centre).registry
    registry = Registry(root, folders=folders, passphrase=passphrase_of(passphrase_file, online=root / "keys"))
    if must_exist:
        registry.files.root()
        check_folders(folders)
    return registry


def check_folders(folders: list[Path]) -> None:
    """Raise `Misuse` for a folder of keys that is not there: a name misspelt, or a stick that is not plugged in."""
    for folder in folders:
        if not folder.is_dir():
            raise Misuse(
                f"There is no folder {folder} to take keys from.",
                "Plug the stick in, or correct --root-keys (or --keys).",
            )


def passphrase_of(path: Path | None, *, online: Path | None = None) -> Callable[[Path], bytes | None]:
    """Where the passphrase comes from. Keys made in `online` get none: a timer opens them."""

    def ask(asked: Path) -> bytes | None:
        if asked == online:
            return None
        if path is not None:
            return _first_line(path)
        return os.environ.get("ROOST_KEY_PASSPHRASE", "").encode() or None

    return ask


def _first_line(path: Path) -> bytes:
    """Never empty: keys would be written open while somebody believes that they are not."""
    try:
        phrase = path.read_bytes().split(b"\n")[0].removesuffix(b"\r")
    except OSError as error:
        raise Misuse(f"The passphrase in {path} cannot be read: {error.strerror}.", "Give a file.") from error
    if not phrase:
        raise Misuse(f"The first line of {path} is empty.", "Write the passphrase there.")
    return phrase


def quorum_of(text: str) -> "Quorum":
    """`2/3`: two of three must sign. Raises `Misuse`."""
    from roost_models.registry.setting_up import Quorum

    threshold, slash, keys = text.partition("/")
    try:
        return Quorum(threshold=int(threshold), keys=int(keys if slash else threshold))
    except ValueError as error:
        raise Misuse(f"{text!r} is not a number of keys: {error}.", "Write 2/3 for two of three.") from error


def home_of(registry: "Registry", role: str, root_keys: Path | None) -> Path:
    """Where the keys of a role are made: root's never online, others where they are now."""
    here = any(registry.keys.glob(f"{role}-*.pem"))
    if role == "root" or (not here and root_keys is not None):
        if root_keys is None:
            raise Misuse(f"The new keys of {role} are not made online.", "Give --new-keys DIR or --root-keys DIR.")
        return root_keys
    return registry.keys
