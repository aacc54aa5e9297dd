"""`roost broker`: this device's own Mosquitto, from the settings: passwords, access rules, listeners."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import to_builtins

from roost_edge.cli import output
from roost_edge.cli.operator import DEFAULT_SETTINGS, SettingsFile
from roost_edge.cli.output import EXIT_CODES, Json
from roost_edge.plurals import counted

if TYPE_CHECKING:
    from roost_edge.broker_setup.setting_up import Outcome

app = typer.Typer(no_args_is_help=True, help="This device's own broker: set it up, show what is rendered.")

Root = Annotated[Path, typer.Option(help="Work on the tree of a system that does not run, such as an image's.")]
Service = Annotated[
    bool, typer.Option(help="Let systemd's mosquitto.service run it; without, start Mosquitto with it yourself.")
]
_SLASH = Path("/")


@app.command(epilog=EXIT_CODES)
def setup(
    settings: SettingsFile = DEFAULT_SETTINGS,
    root: Root = _SLASH,
    service: Service = True,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; status 1 when something would.")] = False,
    as_json: Json = False,
) -> None:
    """Make this device's broker follow the settings.

    Makes a password for each role where it is missing, writes Mosquitto's configuration and access rules, and has
    Mosquitto follow: by a reload for rules, passwords and certificates, by a restart for listeners.
    A second time changes nothing. The settings need `passwords = "/etc/roost/broker/passwords"` below [broker].

    Run it as root: after a change of the settings, and after `roost enrol`, which opens the listener for others.
    """
    from roost_edge.broker_setup.following import follow
    from roost_edge.broker_setup.setting_up import BrokerSetup
    from roost_edge.settings import loading

    done = BrokerSetup(loading.load(settings), root, service).run(check=check)
    followed = follow(done, running=service and root == _SLASH) if not check else ""
    if as_json:
        output.data({**to_builtins(done), "changed": done.changed, "followed": followed})
    else:
        _say(done, followed, check=check)
    raise typer.Exit(output.NO if check and done.changed else output.OK)


@app.command(epilog=EXIT_CODES)
def render(
    settings: SettingsFile = DEFAULT_SETTINGS,
    root: Root = _SLASH,
    service: Service = True,
    as_json: Json = False,
) -> None:
    """Print what `setup` would write, without passwords.

    Mosquitto's configuration, who may do what, and the addition to its systemd unit.
    """
    from roost_edge.broker_setup.setting_up import BrokerSetup
    from roost_edge.settings import loading

    files = BrokerSetup(loading.load(settings), root, service).render()
    if as_json:
        output.data({file.path: file.text for file in files})
        return
    print("\n".join(f"#### {file.path}\n{file.text}" for file in files), end="")


def _say(done: "Outcome", followed: str, *, check: bool) -> None:
    would = "would be " if check else ""
    for what, names in (("password made", done.made), ("password removed", done.removed), ("written", done.written)):
        for name in names:
            print(f"{would}{what}: {name}")
    outside = f"other machines come in at {done.outside}" if done.outside else "no other machine comes in"
    if not done.outside and done.missing:
        outside += f" (the identity lacks {', '.join(done.missing)}; see roost enrol)"
    change = "nothing to change" if not done.changed else f"Mosquitto: {done.follow}"
    print(f"{counted(done.users, 'user')}; {outside}; {change}.")
    if followed:
        output.say(followed)
