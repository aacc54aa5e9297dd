"""Where the image comes from: a file that was named, or `roost image build`, which keeps its slow stages in a cache."""

import subprocess
import sys
from pathlib import Path

from roost_broker.errors import PeerError
from roost_provisioning.boot_test.fleet_side import ROOST
from roost_provisioning.boot_test.options import Options


def image_of(options: Options, folder: Path) -> Path:
    """The image, unpacked. Building shows its own progress on stderr. Raises `PeerError` when it fails."""
    if options.image is not None:
        return options.image
    built = folder / f"roost-{options.release}.img"
    words = ("image", "build", "--release", options.release, "--output", str(built))
    done = subprocess.run([*ROOST, *words], stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise PeerError("The image could not be built.", "What `roost image build` says above names the cause.")
    return built
