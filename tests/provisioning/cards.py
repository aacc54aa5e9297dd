"""A card of 64 MB for tests: FAT, root and data, divided as `roost image build` does it."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from roost_broker.private_process import find_program
from roost_provisioning.boot_test.card_image import CardImage

MB = 1 << 20


def program(name: str, *words: str, text: str = "") -> None:
    subprocess.run([find_program(name) or name, *words], check=True, capture_output=True, input=text, text=True)


def small_card(folder: Path, boot: Mapping[str, bytes]) -> Path:
    """`folder/card.img` with these files to boot from; its Linux partitions hold roost/journal.db."""
    card, fat, ext = folder / "card.img", folder / "fat", folder / "ext"
    for path, size in ((card, 64 * MB), (fat, 16 * MB)):
        with path.open("wb") as file:
            file.truncate(size)
    program("sfdisk", "-q", str(card), text="label: dos\n1MiB,16MiB,c,*\n17MiB,16MiB,83\n33MiB,16MiB,83\n")
    program("mkfs.vfat", str(fat))
    tree = folder / "tree" / "roost"
    tree.mkdir(parents=True)
    (tree / "journal.db").write_bytes(b"written")
    (folder / "README").write_bytes(b"mtools finds no root folder in an empty file system\n")
    program("mcopy", "-i", str(fat), str(folder / "README"), "::README")
    program("mke2fs", "-q", "-t", "ext4", "-d", str(folder / "tree"), str(ext), "16M")
    with card.open("r+b") as file:
        for path, at in ((fat, 1), (ext, 17), (ext, 33)):
            file.seek(at * MB)
            file.write(path.read_bytes())
    CardImage(card).boot.write(dict(boot))
    return card
