"""The command `roost`. One file per subject; heavy libraries are imported inside the command that needs them."""

from roost_edge.cli.app import main as main
