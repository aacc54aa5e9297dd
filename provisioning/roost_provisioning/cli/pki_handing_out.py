"""`roost pki issue`, `token` and `seed`: what the authority hands out, to people and on cards."""

import os
from pathlib import Path
from typing import Annotated

import typer

from roost_broker.errors import Misuse
from roost_edge.cli import output
from roost_edge.cli.operator import user
from roost_edge.cli.output import Json
from roost_provisioning.cli.pki_options import DEFAULT_AUTHORITY, AuthorityDir, authority_of, now, span

Name = Annotated[str, typer.Option(help="For a device of this name, and no other.")]
Prefix = Annotated[str, typer.Option(help="For devices called PREFIX-…; the rest comes from their keys.")]
Uses = Annotated[int, typer.Option(min=1, help="How many devices; above 1 only with --prefix, or any name.")]
Valid = Annotated[str, typer.Option(metavar="7d", help="How long: 7d, 12h, 30m.")]


def issue(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="operator, watcher, gateway, server or device.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="A person, a node, or a server's host name.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where key, certificate and trust bundle are written.")],
    authority: AuthorityDir = DEFAULT_AUTHORITY,
    host: Annotated[
        list[str] | None, typer.Option(help="A further name or address of a server or device; as often as needed.")
    ] = None,
    csr: Annotated[
        Path | None, typer.Option(help="A signing request made where the key shall stay; else a key is made here.")
    ] = None,
    valid: Annotated[str, typer.Option(metavar="90d", help="How long; else as authority.json says.")] = "",
    as_json: Json = False,
) -> None:
    """Issue a certificate by hand: to a person, gateway or server.

    Devices enrol by themselves, with a token. Writes NAME.pem, NAME.key (unless --csr), ca.pem and crl.pem.
    """
    from roost_broker.durable import write_durably
    from roost_broker.identities import identity
    from roost_edge.enrolment import keys, trust
    from roost_provisioning.pki.signing_requests import key_of

    who = identity(kind, name)
    key_file = out / f"{name}.key"
    if csr is not None:
        asked = csr.read_text(encoding="ascii", errors="replace")
    elif key_file.exists():
        raise Misuse(f"There is a key {key_file} already.", "Name another folder: --out DIR.")
    else:
        key = keys.new_key()
        asked = keys.signing_request(keys.read_key(key))
    lifetime = span(valid, "--valid") if valid else None
    with authority_of(authority) as opened:
        issued = opened.issue(who, key_of(asked), now(), f"by {user()}", hosts=host or (), lifetime=lifetime)
    if csr is None:
        write_durably(key_file, key, mode=0o600)
    for file, text in ((f"{name}.pem", issued.certificate), ("ca.pem", issued.trust), ("crl.pem", issued.crl)):
        write_durably(out / file, text.encode("ascii"), mode=0o644)
    certificate = trust.certificates(issued.certificate)[0]
    until = certificate.not_valid_after_utc
    if as_json:
        output.data(
            {"identity": str(who), "serial": f"{certificate.serial_number:x}", "until": until, "folder": str(out)}
        )
    else:
        print(f"{who} until {until:%Y-%m-%d}: {out / name}.pem")


def token(
    authority: AuthorityDir = DEFAULT_AUTHORITY,
    name: Name = "",
    prefix: Prefix = "",
    uses: Uses = 1,
    valid: Valid = "7d",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it there (0600) instead of printing it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a one-time token, with which a device may enrol.

    It is shown now and never again: only a hash of it is kept. Whoever has it can enrol a device, until it is used up
    or over; `roost pki revoke token:ID` ends it.
    """
    from roost_broker.durable import write_durably

    text = _token(authority, name, prefix, uses, valid)
    if out is not None:
        write_durably(out, text.encode("ascii") + b"\n", mode=0o600)
    if as_json:
        output.data({"id": text.partition("-")[0], **({"path": str(out)} if out is not None else {"token": text})})
    else:
        print(out if out is not None else text)


def seed(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where seed.toml and ca.pem are written: a card.")],
    desk: Annotated[str, typer.Option(metavar="URL", help="Where devices reach `roost pki serve`: https://HOST:PORT.")],
    authority: AuthorityDir = DEFAULT_AUTHORITY,
    name: Name = "",
    prefix: Prefix = "",
    uses: Uses = 1,
    valid: Valid = "7d",
    as_json: Json = False,
) -> None:
    """Make a token and write it into a seed.

    The seed has all that `roost enrol --seed DIR` needs.

    For a device that runs already; `roost image personalise` does it for a card.
    """
    from roost_edge.enrolment.seed import SEED, Seed, write_seed

    moment = now()
    with authority_of(authority) as opened:
        bundle = opened.trust(moment)
    wanted = Seed(url=desk, ca=bundle, made=moment)  # refused before there is a token
    text = _token(authority, name, prefix, uses, valid)
    write_seed(folder, Seed(url=wanted.url, token=text, ca=bundle, made=moment))
    if as_json:
        output.data({"id": text.partition("-")[0], "path": str(folder / SEED)})
    else:
        print(folder / SEED)


def _token(authority: Path, name: str, prefix: str, uses: int, valid: str) -> str:
    from roost_provisioning.pki.tokens import ENTROPY

    with authority_of(authority) as opened:
        return opened.new_token(
            now(), os.urandom(ENTROPY), name=name, prefix=prefix, uses=uses, valid=span(valid, "--valid")
        )
