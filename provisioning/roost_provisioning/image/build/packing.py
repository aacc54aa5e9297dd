"""The finished image as files to hand on: packed, with block map, checksum and a record of how it was made."""

import hashlib
from pathlib import Path
from typing import Final

import msgspec

from roost_broker.durable import rename_durably, write_durably
from roost_broker.errors import Misuse
from roost_provisioning.image.build import programs

PACKERS: Final = {
    ".img": (),
    ".zst": ("zstd", "-q", "-T0", "-3", "--no-progress"),
    ".xz": ("xz", "-q", "-T0", "-6"),
}
_CHUNK: Final = 1 << 20


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an image; `NAME.json` beside it."""

    file: str
    release: str
    roost: str
    size: int
    """Bytes of the file as it is handed on."""
    sha256: str
    image_size: int
    """Bytes of the image itself, as a card takes them."""
    image_sha256: str
    mapped: int
    """Bytes of it that hold something: what a writer with the block map writes."""
    made_of: str
    """Digest of everything that went into it."""
    made: str
    read_only_root: bool
    seconds: dict[str, float]


def needs(output: Path) -> tuple[str, ...]:
    """Programs for this kind of output. Raises Misuse for a name that tells none."""
    if output.suffix not in PACKERS or not (output.suffix == ".img" or output.stem.endswith(".img")):
        raise Misuse(f"{output.name} does not tell how to pack.", "End it with .img (not packed), .img.zst or .img.xz.")
    return ("bmaptool", *PACKERS[output.suffix][:1])


def block_map(image: Path, into: Path) -> int:
    """Write the block map; returns the bytes of the image that hold something."""
    programs.run(["bmaptool", "--quiet", "create", "--output", str(into), str(image)])
    return image.stat().st_blocks * 512


def packed(image: Path, kind: str, folder: Path) -> Path:
    """The image packed as its final name says; itself where it is not to be packed."""
    if not PACKERS[kind]:
        return image
    target = folder / f"{image.name}{kind}"
    programs.run([*PACKERS[kind], "--keep", "--force", str(image)])
    return target


def sha256(path: Path) -> str:
    """Digest of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def hand_over(packed_image: Path, block_map_file: Path, output: Path, record: Record) -> None:
    """Give everything its final name, the image last: where it is, the rest is there too."""
    output.parent.mkdir(parents=True, exist_ok=True)
    stem = stem_of(output)
    write_durably(stem.with_name(f"{stem.name}.bmap"), block_map_file.read_bytes())
    write_durably(output.with_name(f"{output.name}.sha256"), f"{record.sha256}  {output.name}\n".encode())
    write_durably(stem.with_name(f"{stem.name}.json"), msgspec.json.format(msgspec.json.encode(record)) + b"\n")
    rename_durably(packed_image, output)


def stem_of(output: Path) -> Path:
    """`card.img` for `card.img.zst` and for itself."""
    return output if output.suffix == ".img" else output.with_suffix("")
