"""`roost image build`."""

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roost_broker.errors import Misuse
from roost_edge.cli import output as said
from roost_edge.cli.output import Json

if TYPE_CHECKING:
    from roost_provisioning.image.build.building import Order
    from roost_provisioning.image.build.packing import Record
    from roost_provisioning.image.build.places import Places
    from roost_provisioning.image.build.stages import Tell

_INSIDE = "ROOST_IMAGE_INSIDE"
"""Set for the second half of a build without root, which runs in a user namespace."""


def build(
    release: Annotated[str, typer.Option(help="Debian release: bookworm or trixie.")] = "bookworm",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="NAME.img, NAME.img.zst or NAME.img.xz.", show_default=False)
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(help="The devices' settings; without it, a henhouse with a rendered camera.")
    ] = None,
    bundle: Annotated[
        list[Path] | None, typer.Option(help="A further bundle for /opt/roost/bundles; may be given again.")
    ] = None,
    seed: Annotated[
        Path | None, typer.Option(help="Folder with seed.toml (and ca.pem): where and with which token to enrol.")
    ] = None,
    user_data: Annotated[
        Path | None, typer.Option(help="cloud-init's user-data; without it nobody can log in.")
    ] = None,
    network: Annotated[
        Path | None, typer.Option(help="cloud-init's network-config; without it, DHCP by cable.")
    ] = None,
    read_only_root: Annotated[
        bool, typer.Option("--read-only-root", help="Seal the root once the device has enrolled.")
    ] = False,
    size: Annotated[str, typer.Option(help="Size of the image, such as 4G; without it, as small as may be.")] = "",
    mirror: Annotated[str, typer.Option(help="Debian mirror; without it, that of this machine.")] = "",
    security_mirror: Annotated[str, typer.Option(help="Its security updates; without it, beside --mirror.")] = "",
    target_mirror: Annotated[str, typer.Option(help="The devices' own mirror; without it, the same.")] = "",
    cache: Annotated[Path | None, typer.Option(help="Where slow stages are kept; ~/.cache/roost.")] = None,
    source: Annotated[Path | None, typer.Option(help="A checkout of Roost; the one this command runs from.")] = None,
    as_json: Json = False,
) -> None:
    """Build a card image from Debian packages.

    The result is a file for Raspberry Pi Imager, bmaptool or dd.

    The first build of a release takes 8 to 20 minutes and needs a mirror; the next ones take one, from the cache.
    Needs no loop device and no mount. Without root it uses a user namespace (package uidmap).

    Beside the image lie its block map (.bmap), checksum (.sha256) and record (.json). No key and no id is in it:
    each device makes its own. Write it with: bmaptool copy roost.img.zst /dev/sdX
    """
    from roost_provisioning.image.build import building
    from roost_provisioning.image.build.places import Places, default_cache
    from roost_provisioning.image.mirrors import mirror_of_machine, named_mirror
    from roost_provisioning.image.recipe import RELEASES

    if release not in RELEASES:
        raise Misuse(f"There is no recipe for {release!r}.", f"Releases: {', '.join(RELEASES)}.")
    order = building.Order(
        release=RELEASES[release],
        output=output or Path(f"roost-{release}.img.zst"),
        source=(source or _checkout()).resolve(),
        mirror=named_mirror(mirror, security_mirror) if mirror else mirror_of_machine(),
        settings=settings,
        bundles=tuple(bundle or ()),
        seed=seed,
        user_data=user_data,
        network=network,
        target_mirror=named_mirror(target_mirror) if target_mirror else None,
        size_mib=mebibytes(size),
        read_only_root=read_only_root,
    )
    order.check()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that it clears up after itself
    places = Places(cache or default_cache())
    if os.geteuid() != 0:
        _again_inside(order, places)
    record = building.build(order, places, _tell())
    if as_json:
        said.data(record)
    else:
        print(_report(order, record))


def mebibytes(text: str) -> int:
    """`4G`, `3500M` or a number of MiB; 0 for an empty text. Raises Misuse."""
    if not text:
        return 0
    number, unit = (text[:-1], text[-1].upper()) if text[-1].isalpha() else (text, "M")
    if not number.isdecimal() or unit not in "MG" or not 0 < int(number) <= 1 << 21:
        raise Misuse(f"{text!r} is no size.", "Such as 4G or 3500M.")
    return int(number) * (1024 if unit == "G" else 1)


def _checkout() -> Path:
    place = Path(__file__).resolve().parents[3]
    if not (place / "pyproject.toml").is_file():
        raise Misuse("This installation of Roost is no checkout.", "Name one: --source DIR.")
    return place


def _again_inside(order: "Order", places: "Places") -> None:
    """Without root: make the base here (mmdebstrap makes its own namespace), the rest as root of a namespace."""
    from roost_provisioning.image.build import building, programs

    if os.environ.get(_INSIDE):
        raise Misuse(
            "This machine gives no user namespace in which to be root.", "Run it as root: sudo roost image build."
        )
    programs.require(("unshare", "newuidmap"))
    building.base_only(order, places, _tell())
    os.environ[_INSIDE] = "1"
    me = [sys.executable, "-c", "from roost_provisioning.cli import main; raise SystemExit(main())", *sys.argv[1:]]
    path = shutil.which("unshare") or "unshare"
    os.execv(path, [path, "--map-auto", "--map-root-user", "--", *me])  # noqa: S606  # no shell is wanted


def _tell() -> "Tell":
    return said.say


def _report(order: "Order", record: "Record") -> str:
    rows = [
        ("image", str(order.output)),
        ("size", f"{record.size / 1e6:.0f} MB; {record.image_size / 1e6:.0f} MB on a card, "
                 f"{record.mapped / 1e6:.0f} MB of it written with the block map"),
        ("sha256", record.sha256),
        ("time", ", ".join(f"{name} {seconds:.0f} s" for name, seconds in record.seconds.items())),
    ]  # fmt: skip
    return said.table(rows)
