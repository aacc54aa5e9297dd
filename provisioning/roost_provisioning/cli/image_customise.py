"""`roost image customise`: an official Raspberry Pi OS image becomes one that installs Roost at its first boot."""

from pathlib import Path
from typing import Annotated

import typer

from roost_broker.errors import Misuse
from roost_edge.cli import output
from roost_edge.cli.output import EXIT_CODES, Json
from roost_provisioning.cli import card_options as options
from roost_provisioning.cli.card_options import Given, Image, Scratch, reporting_megabytes, scratch_of


def register(app: typer.Typer) -> None:
    """Add this command to `roost image`."""
    app.command("customise", epilog=EXIT_CODES)(customise)


def customise(
    image: Image,
    target: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="A file: .img, .img.xz, .img.zst.")
    ] = None,
    kit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The kit (roost-….tar); without: made from --source.")
    ] = None,
    source: Annotated[Path, typer.Option(metavar="DIR", help="A checkout of Roost, to make the kit from.")] = Path(),
    package: Annotated[
        list[str] | None,
        typer.Option(help="A further package of the distribution: python3-picamera2; as often as needed."),
    ] = None,
    debs: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Packages as .deb files: then the first boot needs no archive.")
    ] = None,
    bundle: Annotated[list[Path] | None, typer.Option(help="A bundle that comes along; as often as needed.")] = None,
    name: Annotated[str, typer.Option(help="One device's name. Without: make cards with personalise later.")] = "",
    seed: options.SeedFile = None,
    desk: options.Desk = "",
    token_file: options.TokenFile = None,
    ca: options.CaFile = None,
    ca_sha256: options.CaSha256 = "",
    user: options.User = "",
    ssh_key: options.SshKeys = None,
    password_file: options.PasswordFile = None,
    wifi: options.WifiName = "",
    wifi_password_file: options.WifiPasswordFile = None,
    wifi_country: options.WifiCountry = "",
    wifi_hidden: options.WifiHidden = False,
    settings: options.SettingsFile = None,
    schedule: options.Schedules = None,
    scratch: Scratch = None,
    as_json: Json = False,
) -> None:
    """Put Roost into an official Raspberry Pi OS image.

    64-bit, Bookworm or Trixie.

    Trixie gets cloud-init's files, Bookworm a first-run script, as Raspberry Pi Imager writes them. Roost and all its
    packages go onto the boot partition; at its first boot the device installs them, then enrols. A new image is
    written; make one card of it for each device with `roost image personalise`.
    """
    import msgspec

    from roost_provisioning.image.card_files import readable
    from roost_provisioning.image.card_making import make_card, target_of
    from roost_provisioning.image.card_reading import read_card
    from roost_provisioning.image.card_settings import for_card
    from roost_provisioning.image.customise import PACKAGES, Payload, bundle_names, payload_files, understood
    from roost_provisioning.image.personalise import Means, fitted, overlay

    given = Given(
        seed=seed, desk=desk, token_file=token_file, ca=ca, ca_sha256=ca_sha256, authority=None, valid_days=7,
        user=user, ssh_keys=ssh_key, password_file=password_file, wifi=wifi, wifi_password_file=wifi_password_file,
        wifi_country=wifi_country, wifi_hidden=wifi_hidden, settings=settings, schedules=schedule,
    )  # fmt: skip
    template = given.template()
    identity = msgspec.structs.replace(template, name=name, files=for_card(template.files, name))
    with reporting_megabytes("card") as reporter, readable(image, scratch_of(scratch), reporter) as plain:
        card = read_card(plain)
        system, release = understood(card)
        if kit is None:
            reporter.note(f"kit for {release.name} from {source.resolve()}")
            kit = _make_kit(source, release.name)
        payload = Payload(
            kit=kit,
            packages=(*PACKAGES, *(package or [])),
            debs=_debs(debs),
            bundles=bundle_names(bundle or []),
        )
        files = payload_files(payload, release)
        means = Means(
            system.first_boot, official=True, installs=True, cmdline=card.fat().text("cmdline.txt", 4096).strip()
        )
        where = target_of(target, image, f"{plain.stem if plain == image else _stem(image)}-roost", many=False)
        make_card(plain, where, {**files, **fitted(overlay(identity, means), means)}, reporter)
    if as_json:
        output.data({
            "image": str(image), "path": str(where), "release": release.name, "first_boot": system.first_boot,
            "kit": str(kit), "files": sorted(files),
        })  # fmt: skip
        return
    print(f"{where}: {system.issue or system.name} ({release.name}), installs Roost by {system.first_boot}.")
    if not debs:
        output.say(f"Its first boot takes {', '.join(payload.packages)} from the archive: it needs a network then.")


def _make_kit(source: Path, release: str) -> Path:
    import os

    from roost_provisioning.kit import make

    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "roost" / "kits"
    return Path(make(source.resolve(), release, "aarch64", cache, centre=False, wheel=None, packages=True)["path"])


def _debs(folder: Path | None) -> tuple[Path, ...]:
    if folder is None:
        return ()
    found = tuple(sorted(folder.glob("*.deb")))
    if not found:
        raise Misuse(f"{folder} has no .deb file", "Fetch them on a Pi: apt-get install --download-only mosquitto.")
    return found


def _stem(image: Path) -> str:
    """`card` of `card.img.xz`."""
    return image.name.split(".img")[0]
