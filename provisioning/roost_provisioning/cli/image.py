"""`roost image`: from Debian packages to a card; and what can be done with a card's image afterwards."""

import typer

from roost_edge.cli.output import EXIT_CODES
from roost_provisioning.cli import image_build, image_cards, image_customise, image_manifest, image_write

app = typer.Typer(no_args_is_help=True, help="Card images: build, inspect, customise, personalise.")
app.command("build", epilog=EXIT_CODES)(image_build.build)
image_cards.register(app)
image_customise.register(app)
image_manifest.register(app)
image_write.register(app)
