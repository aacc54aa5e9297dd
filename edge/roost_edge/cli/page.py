"""`roost page`: the device's own web page: its password, and settings that were proposed on it."""

import difflib
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from roost_broker.errors import Misuse
from roost_edge.cli import output
from roost_edge.cli.operator import DEFAULT_SETTINGS, SettingsFile
from roost_edge.cli.output import EXIT_CODES, Json

app = typer.Typer(no_args_is_help=True, help="The device's own web page: password, token, proposed settings.")


@app.command(epilog=EXIT_CODES)
def password(
    settings: SettingsFile = DEFAULT_SETTINGS,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read it from stdin, one line, instead of asking.")] = False,
    generate: Annotated[bool, typer.Option("--generate", help="Make one up, and print it on stdout, once.")] = False,
    as_json: Json = False,
) -> None:
    """Set the password of the page.

    Only its hash (scrypt) is kept, in the data folder, in a file that its owner alone can read. Whoever was logged in
    is so no more. Without a password the page only shows, and to this machine alone. With sudo the file is given to
    whom the data folder belongs, so that the role can read it.
    """
    import secrets

    from roost_edge.page import password as passwords
    from roost_edge.settings import loading

    path = loading.load(settings).layout.page_password
    if stdin and generate:
        raise Misuse("A password is either read or made up.", "Give --stdin or --generate.")
    if generate:
        chosen = secrets.token_urlsafe(18)
    elif stdin:
        chosen = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        chosen = typer.prompt("New password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        raise Misuse("Nobody is there to be asked for a password.", "Give it on stdin (--stdin), or use --generate.")
    passwords.write(path, chosen)
    if as_json:
        output.data({"file": path, **({"password": chosen} if generate else {})})
    elif generate:
        print(chosen)
    output.say(f"The page's password is set; its hash is in {path}.")


@app.command(epilog=EXIT_CODES)
def token(
    settings: SettingsFile = DEFAULT_SETTINGS,
    as_json: Json = False,
) -> None:
    """Make a token for a program that reads /metrics.

    It is printed on stdout, once; only its hash is kept. There is one token at a time: the one before it is void from
    then on, and whoever reads with it is refused until he has the new one. It opens /metrics of the page and nothing
    else: `Authorization: Bearer TOKEN`, in Prometheus `authorization.credentials_file`.
    """
    from roost_edge.page import scraper_token
    from roost_edge.settings import loading

    path = loading.load(settings).layout.page / "metrics-token"
    replaced = path.exists()
    made = scraper_token.make(path)
    if as_json:
        output.data({"file": path, "token": made, "replaced": replaced})
    else:
        print(made)
    output.say(f"A program may read /metrics with it; its hash is in {path}.")
    if replaced:
        output.say("The token before it is void from now on: give this one to every program that read with that.")


@app.command(epilog=EXIT_CODES)
def apply(
    settings: SettingsFile = DEFAULT_SETTINGS,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Put settings in force that the page proposes.

    Where the page's own user may not write the settings (under systemd: they decide what root sets up), it keeps a
    valid text as a proposal. This shows what would change, checks it again, and writes it; the old text is kept beside
    as roost.toml.before. Status 1 when it is refused.
    """
    from roost_edge.page import settings_file
    from roost_edge.settings import loading
    from roost_edge.settings.check import check

    proposal = loading.load(settings).layout.page / "proposed.toml"
    text, before = _proposed(proposal), settings.read_text(encoding="utf-8")
    changes = list(difflib.unified_diff(before.splitlines(), text.splitlines(), "now", "proposed", lineterm=""))
    found = check(settings, text=text)
    for line in changes:
        output.say(line)
    for one in found:
        output.say(f"{one.level}: line {one.line}: {one.problem} {one.remedy}")
    errors = [one for one in found if one.level == "error"]
    done = bool(changes) and not errors and (yes or _agreed())
    if done:
        settings_file.replace(settings, text)
    if done or not changes:
        proposal.unlink()
    if as_json:
        output.data({"changed": done, "findings": found})
    output.say(_outcome(done, bool(changes), bool(errors)))
    raise typer.Exit(output.NO if changes and not done else output.OK)


def _proposed(path: Path) -> str:
    """The proposal's text. Its folder belongs to another user: a link in it is not followed."""
    from roost_edge.page.settings_file import MAX_TEXT

    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            data = file.read(MAX_TEXT + 1)
    except FileNotFoundError:
        raise Misuse("The page proposes nothing.", "Change the settings on the page first.") from None
    try:
        if len(data) > MAX_TEXT:
            raise ValueError("too long")
        return data.decode("utf-8")
    except ValueError as error:
        raise Misuse(f"{path} is no settings file: {error}.", "Make the proposal on the page anew.") from error


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise Misuse("Nobody is there to be asked.", "Look at the changes above, and give --yes.")
    return typer.confirm("Write this?", err=True)


def _outcome(done: bool, changes: bool, errors: bool) -> str:
    if done:
        return "Written. For it to hold: roost units apply (as root), or start the device anew."
    if not changes:
        return "The proposal says what the settings say already."
    return "Nothing was changed: a device cannot run on it." if errors else "Nothing was changed."
