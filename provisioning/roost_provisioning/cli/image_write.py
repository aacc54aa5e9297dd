"""`roost image write`: an image onto the card in the reader."""

from pathlib import Path
from typing import Annotated

import typer

from roost_edge.cli import output
from roost_edge.cli.output import EXIT_CODES, Json
from roost_provisioning.cli.card_options import Image, Scratch, reporting_megabytes, scratch_of


def register(app: typer.Typer) -> None:
    """Add this command to `roost image`."""
    app.command("write", epilog=EXIT_CODES)(write)


def write(
    image: Image,
    device: Annotated[Path, typer.Argument(metavar="/dev/sdX", help="The card in the reader; lsblk lists them.")],
    any_device: Annotated[
        bool, typer.Option("--any-device", help="Also a disk that cannot be taken out, or is larger than 256 GB.")
    ] = False,
    scratch: Scratch = None,
    as_json: Json = False,
) -> None:
    """Write an image onto a card, and compare.

    All of it is written, and then read back.

    Whatever was on the card is lost. A disk that is in use, this machine's own disk and what is no card are refused.
    """
    from roost_broker.errors import Misuse
    from roost_provisioning.image.card_files import readable
    from roost_provisioning.image.card_reading import read_card
    from roost_provisioning.image.card_writing import disk_of, refusal, write_card

    disk = disk_of(device)
    if why := refusal(disk, 0, anything=any_device):  # before an image is unpacked for it
        raise why
    with (
        reporting_megabytes(f"{image.name} to {device}") as reporter,
        readable(image, scratch_of(scratch), reporter) as plain,
    ):
        read_card(plain)  # not just any file
        if why := refusal(disk, plain.stat().st_size, anything=any_device):
            raise why
        try:
            digest = write_card(plain, device, reporter)
        except PermissionError as error:
            raise Misuse(f"{device} may not be written by you", "Say it with sudo.") from error
    if as_json:
        output.data({"image": str(image), "device": str(device), "sha256": digest})
    else:
        print(f"{device} holds {image.name}: written and compared. Take it out.")
