"""`roost complete`: what a shell needs to complete commands and options."""

from typing import Annotated, Literal

import typer

from roost_edge.cli import output
from roost_edge.cli.output import Json

VARIABLE = "_ROOST_COMPLETE"
"""The shell sets it when it asks for completions instead of running a command."""


def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(help="Your shell.")] = "bash",
    as_json: Json = False,
) -> None:
    """Print what makes a shell complete this command.

    For this session: eval "$(roost complete bash)"; fish: roost complete fish | source.

    For every session put that line into ~/.bashrc or ~/.zshrc. For fish write what is printed into
    ~/.config/fish/completions/roost.fish.
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # imported there, not listed

    script = get_completion_script(prog_name="roost", complete_var=VARIABLE, shell=shell)
    output.data({"shell": shell, "script": script}) if as_json else print(script)


def answer_shells() -> None:
    """Let the command line answer a shell that asks; an ordinary command does not pay for it."""
    from typer.completion import completion_init  # type: ignore[attr-defined]  # as above

    completion_init()
