"""`roost image manifest`: the list from which Raspberry Pi Imager offers images."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from roost_broker.durable import write_durably
from roost_broker.errors import Misuse
from roost_edge.cli import output
from roost_edge.cli.output import EXIT_CODES, Json
from roost_provisioning.cli.card_options import Megabytes, Scratch, reporting_megabytes, scratch_of

if TYPE_CHECKING:
    from roost_provisioning.image.os_list import Entry

_CHUNK = 4 << 20


def register(app: typer.Typer) -> None:
    """Add this command to `roost image`."""
    app.command("manifest", epilog=EXIT_CODES)(manifest)


def manifest(
    images: Annotated[list[Path], typer.Argument(metavar="IMG…", help="Images (.img.xz, .img.zst, .img.gz, .img).")],
    url: Annotated[
        str, typer.Option(metavar="URL", help="The folder they are served from. Without: file:// of this machine.")
    ] = "",
    name: Annotated[str, typer.Option(help="As Imager shows it; without, it follows from the image.")] = "",
    description: Annotated[str, typer.Option(help="The line below the name.")] = "",
    icon: Annotated[str, typer.Option(metavar="URL", help="A picture of 40x40 (svg or png).")] = "",
    website: Annotated[str, typer.Option(metavar="URL", help="Where more is said.")] = "",
    released: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="Without: the day the file was written.")] = "",
    target: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Best NAME.rpi-imager-manifest. Without: stdout.")
    ] = None,
    scratch: Scratch = None,
    as_json: Json = False,
) -> None:
    """Write the list with which Imager offers these images.

    Use it with: rpi-imager --repo FILE.

    Each image is unpacked once, for its size and SHA-256, which Imager checks. One that holds what only one device, or
    nobody, should have (a token, a key, a Wi-Fi passphrase) is refused: a list hands images round.
    """
    from roost_provisioning.image.os_list import document

    if name and len(images) > 1:
        raise Misuse("several images cannot have one name", "Leave out --name, or give one image.")
    words = _Words(url.rstrip("/"), name, description, icon, website, released)
    entries = []
    for image in images:
        with reporting_megabytes(image.name) as reporter:
            entries.append(_entry(image, words, scratch, reporter))
    found = document(entries)
    text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    if target is None:
        print(text, end="")
        return
    write_durably(target, text.encode(), mode=0o644)
    if as_json:
        output.data({"path": str(target), "images": [entry.name for entry in entries]})
    else:
        print(f"{target}: {len(entries)} image(s). Open it with: rpi-imager --repo {target}")


class _Words(NamedTuple):
    """What was said of the images; what is empty follows from them."""

    url: str
    name: str
    description: str
    icon: str
    website: str
    released: str


def _entry(image: Path, words: _Words, scratch: Path | None, reporter: Megabytes) -> "Entry":
    from roost_provisioning.image.card_files import compression_of, readable, size_of
    from roost_provisioning.image.card_reading import read_card
    from roost_provisioning.image.first_run import INSTALL
    from roost_provisioning.image.inspecting import inspect_card
    from roost_provisioning.image.inspecting_secrets import must_not_be
    from roost_provisioning.image.os_list import PI_5_KERNEL, Entry, init_format_of, tags_of

    packed = bool(compression_of(image))
    with readable(image, scratch_of(scratch), reporter) as plain:
        card = read_card(plain)
        report = inspect_card(card)
        if wrong := must_not_be(list(report.findings), public=True):
            raise Misuse(
                f"{image.name} is not to be handed round: {wrong[0].where}: {wrong[0].what}",
                "`roost image inspect --public` lists all of it. Give the image that cards are made from.",
            )
        if report.system is None:
            raise Misuse(f"{image.name} has no system in it", "Give the image of a card.")
        fat = card.fat()
        system, roost = report.system, report.roost
        official = bool(system.issue)
        what = f"Roost {roost.version}" if roost else system.name
        boards = [board.board for board in report.boards if not board.missing]
        date = datetime.fromtimestamp(image.stat().st_mtime, UTC).date().isoformat()
        digest = _sha256(plain, size_of(plain), reporter)
        bmap = next((one for one in (Path(f"{image}.bmap"), image.with_suffix(".bmap")) if one.exists()), None)
        return Entry(
            name=words.name or f"{what} ({system.release}, 64-bit)",
            description=words.description or f"{system.name} for a device that classifies what its camera sees",
            url=_url(words.url, image),
            icon=words.icon,
            extract_size=size_of(plain),
            extract_sha256=digest,
            image_download_size=size_of(image),
            image_download_sha256=_sha256(image, size_of(image), reporter) if packed else digest,
            release_date=words.released or date,
            init_format=init_format_of(system.first_boot, official=official, taken=fat.has(INSTALL)),
            devices=tags_of(boards, pi_5=official and fat.has(PI_5_KERNEL)),
            architecture="armv8" if system.architecture == "arm64" else "",
            website=words.website,
            bmap_url=_url(words.url, bmap) if bmap else "",
        )


def _url(base: str, path: Path) -> str:
    return f"{base}/{path.name}" if base else path.resolve().as_uri()


def _sha256(path: Path, size: int, reporter: Megabytes) -> str:
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            reporter.progress(done, size)
    return digest.hexdigest()
