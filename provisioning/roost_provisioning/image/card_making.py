"""Makes cards from an image: copies it sparsely, puts the files onto the copy, gives it its name when all is done."""

from collections.abc import Mapping
from pathlib import Path

from roost_broker.errors import Misuse
from roost_provisioning.image.card_files import (
    COMPRESSED,
    Progress,
    copy_sparse,
    free_for,
    new_file,
    pack,
    size_of,
    sync_device,
)
from roost_provisioning.image.personalise import put

_SUFFIXES = (".img", *(f".img{suffix}" for suffix in sorted(COMPRESSED)))


def make_card(source: Path, target: Path, files: Mapping[str, bytes | Path], progress: Progress) -> None:
    """A card's image at `target`: the unpacked `source` with these files on it. Readable by its owner only.

    Packed when the name says so. Raises `Misuse` and `UnreadableImage`; then there is nothing at `target` that was not
    there before.
    """
    free_for(target.parent, _allocated(source))
    if target.suffix not in COMPRESSED:
        with new_file(target, mode=0o600) as beside:
            copy_sparse(source, beside, progress)
            put(beside, files)
        return
    plain = target.with_name(f".{target.stem}.plain.part")
    try:
        with new_file(plain, mode=0o600) as beside:
            copy_sparse(source, beside, progress)
            put(beside, files)
        pack(plain, target, progress, mode=0o600)
    finally:
        plain.unlink(missing_ok=True)


def change_card(image: Path, files: Mapping[str, bytes | Path]) -> None:
    """Put the files onto this very image, or this card in a reader. What fails halfway is to be written anew."""
    put(image, files)
    sync_device(image)


def target_of(output: Path | None, image: Path, name: str, *, many: bool) -> Path:
    """Where a card's image goes: the file that was named, or NAME.img in the folder that was named, or here."""
    output = output or Path()
    if output.name.endswith(_SUFFIXES):
        if many:
            raise Misuse(f"{output} is one file, and there are several cards", "Name a folder: --output DIR.")
        target = output
    else:
        target = output / f"{name}.img"
    if target.resolve() == image.resolve():
        raise Misuse(f"{target} is the image itself", "Choose another --output, or say --in-place.")
    return target


def _allocated(image: Path) -> int:
    """Bytes that a sparse copy takes."""
    return min(size_of(image), image.stat().st_blocks * 512)
