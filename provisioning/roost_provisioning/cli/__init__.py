"""The command `roost`, whole: what a device and the centre can do, and what makes a fleet of them (`pki`, `image`).

The console script begins here, because only the topmost package may import all others.
"""

from roost_edge.cli.app import app
from roost_edge.cli.app import main as run
from roost_provisioning.cli import image, pki

__all__ = ["app", "main"]

app.add_typer(image.app, name="image")
app.add_typer(pki.app, name="pki")


def main() -> int:
    """The console script. Returns the exit status."""
    return run()
