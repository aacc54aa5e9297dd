"""`roost pki …`: the fleet's authority. docs/pki.md walks through it."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roost_broker.errors import Misuse
from roost_edge.cli import output
from roost_edge.cli.output import EXIT_CODES, Json
from roost_edge.cli.registry_options import passphrase_of
from roost_provisioning.cli import pki_handing_out
from roost_provisioning.cli.pki_options import (
    DEFAULT_AUTHORITY,
    AuthorityDir,
    PhraseFile,
    RootKeys,
    authority_of,
    now,
)

if TYPE_CHECKING:
    from roost_provisioning.pki.status import AuthorityStatus

app = typer.Typer(
    no_args_is_help=True,
    help="The fleet's authority: who is who, by certificates. docs/pki.md walks through it.",
)
app.command("issue", epilog=EXIT_CODES)(pki_handing_out.issue)
app.command("token", epilog=EXIT_CODES)(pki_handing_out.token)
app.command("seed", epilog=EXIT_CODES)(pki_handing_out.seed)
_SOON = timedelta(days=7)


@app.callback()
def group() -> None:
    """Who is who, by certificates."""


@app.command(epilog=EXIT_CODES)
def init(
    fleet: Annotated[str, typer.Argument(metavar="FLEET", help="The fleet's name, in all its certificates.")],
    root_keys: RootKeys,
    authority: AuthorityDir = DEFAULT_AUTHORITY,
    device_days: Annotated[int, typer.Option(min=1, max=398, help="How long a device's certificate is valid.")] = 30,
    crl_days: Annotated[
        int, typer.Option(min=1, max=365, help="How long a broker may go without news of revocations.")
    ] = 30,
    passphrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Set up an authority.

    A root, whose key is put away, and an issuing authority below it, which the desk uses.

    The root's key is made in --root-keys and is needed there only, to rotate; with a passphrase it is encrypted.
    """
    from roost_edge.enrolment import trust
    from roost_provisioning.pki.rotation import begin
    from roost_provisioning.pki.settings import AuthoritySettings

    wanted = AuthoritySettings(fleet=fleet, device_days=device_days, crl_days=crl_days)
    with begin(authority, wanted, root_keys, passphrase_of(passphrase_file), now()) as made:
        sha256 = trust.fingerprint(made.files.roots()[1])
        public = made.files.trust
    if as_json:
        output.data({"path": str(authority), "trust": str(public), "sha256": sha256})
        return
    print(f"{authority} is the authority of {fleet}.")
    print(f"Devices know it by this (ca_sha256): {sha256}")
    print(f"or by this file: {public}")
    print(f"Now put {root_keys} away, and a copy of it elsewhere.")


@app.command(epilog=EXIT_CODES)
def serve(
    authority: AuthorityDir = DEFAULT_AUTHORITY,
    host: Annotated[
        list[str] | None, typer.Option(help="A name or address that devices know this machine by; as often as needed.")
    ] = None,
    listen: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; 0.0.0.0 for a network.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes any free one.")] = 8443,
    per_minute: Annotated[int, typer.Option(min=1, max=100_000, help="Questions an address may ask.")] = 60,
) -> None:
    """Run the enrolment desk, until Ctrl-C.

    Devices enrol, renew, fetch trust bundle and revocation lists here.

    It speaks TLS 1.3 only, with a certificate that the authority itself signs for --host.
    """
    from roost_broker.stopping import told_to_stop
    from roost_edge import logs
    from roost_provisioning.pki.desk import Desk

    logs.setup("desk", "info")

    async def work() -> None:
        stop = told_to_stop()
        with authority_of(authority) as opened:
            desk = Desk(opened, host=listen, port=port, hosts=tuple(host or ()), per_minute=per_minute)
            found = await desk.start()
            named = next(iter(host or ()), "localhost")
            print(f"https://{f'[{named}]' if ':' in named else named}:{found}", flush=True)
            await desk.serve(stop)

    asyncio.run(work())


@app.command(epilog=EXIT_CODES)
def revoke(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="KIND:NAME, a serial number, or token:ID.")],
    authority: AuthorityDir = DEFAULT_AUTHORITY,
    why: Annotated[str, typer.Option(help="For the record.")] = "",
    as_json: Json = False,
) -> None:
    """Take certificates back, or end a token.

    The desk refuses them at once; brokers do when they have fetched the revocation lists (`roost enrol renew`, daily).
    The key gets nothing any more, the name is free for another one.
    """
    with authority_of(authority) as opened:
        if what.startswith("token:"):
            opened.end_token(what.removeprefix("token:"), now())
            gone = []
        else:
            gone = opened.revoke(what, now(), why)
    if as_json:
        output.data({"revoked": [{"identity": f"{row.kind}:{row.name}", "serial": row.serial} for row in gone]})
        return
    for row in gone:
        print(f"{row.kind}:{row.name} {row.serial}")
    output.say("revoked." if gone else "ended.")


@app.command(epilog=EXIT_CODES)
def rotate(
    root_keys: RootKeys = Path("root-keys"),
    authority: AuthorityDir = DEFAULT_AUTHORITY,
    root: Annotated[bool, typer.Option("--root", help="Also a new root, which the old one vouches for.")] = False,
    retire: Annotated[
        bool, typer.Option("--retire", help="Instead: stop believing what nobody needs any more.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="With --retire: also what living certificates need (a stolen key).")
    ] = False,
    at_once: Annotated[bool, typer.Option("--at-once", help="The new one signs now: when a key was stolen.")] = False,
    passphrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Make a new issuing authority, or a new root.

    Nothing that was issued breaks; with --root the root is new, too.

    It signs after two days (authority.json), when every device knows it. Devices renew below it by themselves: soon for
    a new root, at their usual time otherwise. When all have (`roost pki status`), --retire takes the old ones out of
    the trust bundle. Needs the key of the newest root, except for --retire.
    """
    from roost_provisioning.pki import rotation

    if force and not retire:
        raise Misuse("--force belongs to --retire.", "Leave it out.")
    phrase = passphrase_of(passphrase_file)
    with authority_of(authority) as opened:
        if retire:
            gone = rotation.retire(opened, now(), force=force)
            said: dict[str, Any] = {"roots": gone.roots, "issuers": gone.issuers, "needed": gone.needed}
        elif root:
            said = {
                "root": rotation.new_root(opened, root_keys, phrase, now(), at_once=at_once),
                "issuer": max(opened.files.issuers()),
            }
        else:
            said = {"issuer": rotation.new_issuer(opened, root_keys, phrase, now(), at_once=at_once)}
    if as_json:
        output.data(said)
        return
    for name, value in said.items():
        print(f"{name}: {value}")
    if retire and said["needed"]:
        output.say("Some are still needed by that many living certificates; run it again when these have renewed.")


@app.command(epilog=EXIT_CODES)
def crl(authority: AuthorityDir = DEFAULT_AUTHORITY, as_json: Json = False) -> None:
    """Sign the revocation lists anew where that is due.

    Prints the path of the file.

    The desk does it by itself. For a fleet without a desk: on a timer.
    """
    with authority_of(authority) as opened:
        opened.crl(now())
        path = opened.files.crl
    if as_json:
        output.data({"path": str(path)})
    else:
        print(path)


@app.command(epilog=EXIT_CODES)
def status(authority: AuthorityDir = DEFAULT_AUTHORITY, as_json: Json = False) -> None:
    """Show who has a certificate until when.

    Also open tokens, and what to do soon.

    Status 1 when something is late, has ended, or ends soon.
    """
    from roost_provisioning.pki.status import status_of

    with authority_of(authority) as opened:
        found = status_of(opened, now(), soon=_SOON)
    if as_json:
        output.data(found)
    else:
        _print(found)
        for problem in found.problems:
            output.say(problem)
    raise typer.Exit(output.NO if found.problems else output.OK)


def _print(found: "AuthorityStatus") -> None:
    print(f"The authority of {found.fleet}.")
    for number, sha256 in found.roots.items():
        print(f"root {number}     until {found.root_ends[number]:%Y-%m-%d}  {sha256}")
    for number, ends in found.issuers.items():
        print(f"issuing {number}  until {ends:%Y-%m-%d}{'  signs' if number == found.signing else ''}")
    if found.crl_ends is not None:
        print(f"revocation lists until {found.crl_ends:%Y-%m-%d}")
    print()
    rows = [["who", "until", "issuer", "state", "how", "serial"]]
    rows += [
        [one.identity, f"{one.ends:%Y-%m-%d}", str(one.issuer), one.state, one.how, one.serial] for one in found.members
    ]
    print(output.table(rows) if found.members else "Nobody has a certificate yet.")
    if found.tokens:
        print()
        rows = [["token", "for", "left", "until"]]
        rows += [[one.id, one.names, str(one.left), f"{one.until:%Y-%m-%d %H:%M}"] for one in found.tokens]
        print(output.table(rows))
