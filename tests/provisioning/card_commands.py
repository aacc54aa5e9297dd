"""What the tests of cards have in common: the command run as an operator runs it."""

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from roost_provisioning.cli import app
from roost_provisioning.image.card_reading import read_card

PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n"


def roost(*arguments: str | Path, status: int = 0) -> Result:
    """The command; its status is checked."""
    result = CliRunner().invoke(app, [*map(str, arguments)])
    if status == 0 and result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result


def told(*arguments: str | Path, status: int = 0) -> dict[str, object]:
    """What the command says with --json."""
    return json.loads(roost(*arguments, "--json", status=status).stdout)


def boot_file(image: Path, name: str) -> str:
    """A file of the boot partition."""
    return read_card(image).fat().text(name)
