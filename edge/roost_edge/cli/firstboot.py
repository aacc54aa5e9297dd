"""`roost firstboot`: what a freshly written card does by itself."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from roost_broker.errors import PeerError
from roost_edge.cli import output

_STEP_S = 900


def firstboot(
    settings: Annotated[
        Path, typer.Option("--settings", "-s", envvar="ROOST_SETTINGS", help="The settings file (TOML).")
    ] = Path("/etc/roost/roost.toml"),
    seed: Annotated[Path, typer.Option(metavar="DIR", help="The folder with seed.toml.")] = Path(
        "/boot/firmware/roost"
    ),
    wait_s: Annotated[
        int, typer.Option("--wait", min=0, metavar="SECONDS", help="How long to try while no enrolment desk answers.")
    ] = 120,
) -> None:
    """Complete this device at its first boot.

    Settings from the card, identity (roost enrol), broker (roost broker setup), units (roost units apply), and it
    starts. roost-firstboot.service runs this until it was done once. Repeating it is harmless.
    """
    from roost_edge.settings import loading
    from roost_edge.units.first_boot import Card, complete, steps, take_settings

    card = Card(seed, settings)
    take_settings(card, output.say)
    if not card.has_seed:
        output.say(f"There is no seed in {seed}: this device does not enrol.")
    device = loading.load(settings, unnamed="unnamed" if card.has_seed else "")
    words = steps(card, wait_s=wait_s, locked=bool(device.broker.passwords))
    complete(card, Path(device.node.data), _run, words)
    output.say("This device is complete; its roles start.")


def _run(command: Sequence[str]) -> None:
    """One step; what it says goes where we say ours."""
    output.say(f"$ {' '.join(command)}")
    own = Path(sys.executable).with_name("roost")
    words = [str(own) if command[0] == "roost" else command[0], *command[1:]]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=sys.stderr, timeout=_STEP_S, check=False)
    if done.returncode != 0:
        raise PeerError(f"`{' '.join(command)}` ended with status {done.returncode}.", "It says why above; repeat it.")
