"""What lies on the card's first partition beside the firmware: the cloud-init seed, and the seed of the enrolment."""

import hashlib
import shutil
from pathlib import Path

from roost_broker.errors import Misuse
from roost_edge.enrolment.seed import read_seed, write_seed
from roost_provisioning.image.recipe import DATA

SEED_FOLDER = "roost"


def write_card_files(boot: Path, *, user_data: Path | None, network: Path | None, seed: Path | None) -> None:
    """Write them into the folder that becomes the first partition. Raises Misuse for files that cannot be."""
    user = (user_data or DATA / "card" / "user-data").read_bytes()
    net = (network or DATA / "card" / "network-config").read_bytes()
    if not user.startswith((b"#cloud-config", b"#!", b"## template:", b"Content-Type:", b"#include")):
        raise Misuse(f"{user_data} is no user-data for cloud-init.", "Its first line says what it is: #cloud-config.")
    (boot / "user-data").write_bytes(user)
    (boot / "network-config").write_bytes(net)
    (boot / "meta-data").write_text(meta_data(user, net))
    if seed is not None:
        write_seed(boot / SEED_FOLDER, read_seed(seed))


def meta_data(user: bytes, network: bytes) -> str:
    """The seed's name follows from its content: cloud-init applies it once, and again when it has changed. Pure."""
    digest = hashlib.sha256(user + b"\0" + network).hexdigest()
    return f"instance-id: roost-{digest[:16]}\n"


def take_boot(tree: Path, into: Path) -> None:
    """Move what the packages put into /boot/firmware to a folder of its own: it is another partition."""
    shutil.move(tree / "boot/firmware", into)
    (tree / "boot/firmware").mkdir()
