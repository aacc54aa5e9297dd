"""`roost image inspect` and `personalise`: what is in an image, and devices' cards from it."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roost_broker.errors import Misuse
from roost_edge.cli import output
from roost_edge.cli.output import EXIT_CODES, Json
from roost_provisioning.cli import card_options as options
from roost_provisioning.cli.card_options import Given, Image, Scratch, reporting_megabytes, scratch_of

if TYPE_CHECKING:
    from roost_provisioning.image.inspecting import Report
    from roost_provisioning.image.personalise import Means


def register(app: typer.Typer) -> None:
    """Add these commands to `roost image`."""
    app.command("inspect", epilog=EXIT_CODES)(inspect)
    app.command("personalise", epilog=EXIT_CODES)(personalise)


def inspect(
    image: Image,
    public: Annotated[
        bool,
        typer.Option("--public", help="It is to be handed round: a token, a Wi-Fi key, a login are too much then."),
    ] = False,
    scratch: Scratch = None,
    as_json: Json = False,
) -> None:
    """Say what is in an image, without mounting it.

    System, what would start, Roost, and secrets.

    Status 1 when something is in it that must not be: private keys, ids, passwords that all cards would share.
    """
    from roost_provisioning.image.card_files import readable
    from roost_provisioning.image.card_reading import read_card
    from roost_provisioning.image.inspecting import inspect_card
    from roost_provisioning.image.inspecting_secrets import must_not_be

    with reporting_megabytes("unpacking") as reporter, readable(image, scratch_of(scratch), reporter) as plain:
        report = inspect_card(read_card(plain))
    wrong = must_not_be(list(report.findings), public=public)
    if as_json:
        output.data({"image": str(image), "ok": not wrong, "report": report, "must_not_be": wrong})
    else:
        print(_described(image, report))
        for finding in report.findings:
            sign = "NO" if finding in wrong else "  "
            print(f"{sign} {finding.where}: {finding.what}")
            if finding in wrong and finding.remedy:
                print(f"     → {finding.remedy}")
        verdict = f"{len(wrong)} thing(s) must not be in it" if wrong else "nothing is in it that must not be"
        print(f"{image.name}: {verdict}.")
    raise typer.Exit(output.NO if wrong else output.OK)


def personalise(
    image: Image,
    name: Annotated[str, typer.Option(help="The device's and its host's name, for one card.")] = "",
    prefix: Annotated[str, typer.Option(help="For several cards: each is called PREFIX and a number.")] = "",
    count: Annotated[int, typer.Option(min=1, max=1000, help="So many cards.")] = 1,
    first: Annotated[int, typer.Option(min=0, help="The first one's number.")] = 1,
    target: Annotated[
        Path | None, typer.Option("--output", metavar="FILE|DIR", help="A file (.img, .img.xz, .img.zst) or a folder.")
    ] = None,
    overlay: Annotated[
        bool, typer.Option("--overlay", help="For each card a small folder to copy onto its boot partition; no image.")
    ] = False,
    card: Annotated[
        Path | None, typer.Option("--card", metavar="DIR", help="Take such a folder instead of the options below.")
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Change this very image, or the card in the reader.")
    ] = False,
    seed: options.SeedFile = None,
    desk: options.Desk = "",
    token_file: options.TokenFile = None,
    ca: options.CaFile = None,
    ca_sha256: options.CaSha256 = "",
    authority: options.AuthorityFolder = None,
    valid_days: options.ValidDays = 7,
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
    """Make one device's card, or many, from an image.

    Each gets its name, token to enrol with, login, Wi-Fi, settings.

    The image stays as it is; a new one is written (holes stay holes). For many cards from one image: --prefix coop-
    --count 30 --authority DIR --overlay writes 30 small folders; write the same image to every card, then copy one
    folder's content onto each boot partition, or run this with --card DIR --in-place /dev/sdX.
    """
    from roost_provisioning.image.card_files import compression_of, readable
    from roost_provisioning.image.card_making import change_card, make_card, target_of
    from roost_provisioning.image.card_reading import read_card
    from roost_provisioning.image.personalise import fitted, means_of, names_of, read_overlay, write_overlay

    given = Given(
        seed=seed, desk=desk, token_file=token_file, ca=ca, ca_sha256=ca_sha256, authority=authority,
        valid_days=valid_days, user=user, ssh_keys=ssh_key, password_file=password_file, wifi=wifi,
        wifi_password_file=wifi_password_file, wifi_country=wifi_country, wifi_hidden=wifi_hidden, settings=settings,
        schedules=schedule,
    )  # fmt: skip
    if in_place and (overlay or target or count > 1):
        raise Misuse("--in-place changes one image", "Leave out --overlay, --output and --count.")
    if in_place and compression_of(image):
        raise Misuse(f"{image.name} is packed", "Leave out --in-place: a new file is written.")
    if card is not None and (overlay or name or prefix):
        raise Misuse("--card brings its own name", "Leave out --name, --prefix and --overlay.")
    names = [card.name] if card is not None else names_of(name, prefix, count, first)
    made: list[dict[str, Any]] = []
    with (
        reporting_megabytes("cards") as reporter,
        readable(image, scratch_of(scratch), reporter) as plain,
        ExitStack() as stack,
    ):
        means = means_of(read_card(plain))
        source = _Cards(given, means, stack) if card is None else None
        for one in names:
            files = source.files(one) if source else read_overlay(card or Path())
            try:
                if overlay:
                    where = (target or Path()) / one
                    write_overlay(where, files)
                elif in_place:
                    where = image
                    change_card(image, fitted(files, means))
                else:
                    where = target_of(target, image, one, many=len(names) > 1)
                    make_card(plain, where, fitted(files, means), reporter)
            except BaseException:
                if source:
                    source.take_back()
                raise
            made.append({"name": one, "path": str(where), "files": sorted(files)})
            reporter.note(f"{one}: {where}")
    if as_json:
        output.data({"image": str(image), "cards": made})
        return
    print(f"{len(made)} card(s) made.")
    if overlay:
        output.say(f"Write {image.name} to each card, then copy one folder's content onto the card's boot partition,")
        output.say(f"or: roost image personalise /dev/sdX --in-place --card {made[0]['path']}")


class _Cards:
    """The files of each card, with a token of its own where an authority gives them."""

    def __init__(self, given: Given, means: "Means", stack: ExitStack) -> None:
        self._given = given
        self._means = means
        self._template = given.template()
        self._authority = stack.enter_context(given.open_authority()) if given.needs_tokens() else None
        self._token = ""

    def files(self, name: str) -> dict[str, bytes]:
        """What goes onto this card's boot partition."""
        import msgspec

        from roost_provisioning.image.card_settings import for_card
        from roost_provisioning.image.personalise import overlay

        change = msgspec.structs.replace
        identity = change(self._template, name=name, files=for_card(self._template.files, name))
        if self._authority is not None and identity.seed is not None:
            self._token = self._given.token(self._authority, name)
            identity = change(identity, seed=change(identity.seed, token=self._token, name=name))
        return overlay(identity, self._means)

    def take_back(self) -> None:
        """The last card was not made: its token is good for nothing any more."""
        from datetime import UTC, datetime

        if self._authority is not None and self._token:
            self._authority.end_token(self._token.partition("-")[0], datetime.now(UTC))


def _described(image: Path, report: "Report") -> str:
    rows = [["partition", "kind", "label", "size", "used"]]
    for part in report.partitions:
        used = f"{part.used / 1e6:.0f} MB" if part.used else "?"
        rows.append([str(part.number), part.file_system or part.kind, part.label, f"{part.size / 1e6:.0f} MB", used])
    lines = [f"{image.name}: {report.size / 1e6:.0f} MB, {report.scheme}", output.table(rows, indent="  ")]
    if system := report.system:
        lines.append(f"system     {system.name} ({system.architecture}) {system.issue}".rstrip())
        lines.append(f"kernels    {' '.join(system.kernels) or 'none'}")
        lines.append(f"first boot {system.first_boot or 'takes no identity'}")
    for board in report.boards:
        state = f"missing: {' '.join(board.missing)}" if board.missing else "complete"
        lines.append(f"{board.board:<10} {board.kernel} {board.initramfs} {board.device_tree}: {state}")
    lines.append(f"cmdline    {report.cmdline}")
    if roost := report.roost:
        lines.append(f"Roost      {roost.version} (Python {roost.python}) {roost.node}".rstrip())
        lines.append(f"settings   {' '.join(roost.settings) or 'none'}")
        lines.append(f"bundles    {' '.join(roost.bundles) or 'none'}")
    lines.append(f"enabled    {' '.join(report.units) or 'nothing of Roost'}")
    if seed := report.seed:
        token = "with a token" if seed.token else "without a token"
        lines.append(f"seed       {seed.name or 'any name'} at {seed.url}, {token}" if seed.url else "seed       none")
        lines.append(f"brings     {' '.join(seed.files)[:400]}")
    from roost_broker.printable import printable_lines

    return printable_lines("\n".join(lines))
