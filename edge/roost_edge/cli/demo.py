"""`roost demo`: everything at once, to watch."""

import typer


def demo(context: typer.Context) -> None:
    """Watch a henhouse: everything at once, all real.

    Camera, models, rendezvous, archive and alerts. `roost demo --help` says more.
    """
    from roost_edge.demo.main import main

    raise typer.Exit(main(context.args))
