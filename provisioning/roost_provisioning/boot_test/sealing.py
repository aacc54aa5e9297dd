"""Whether a root that is to be read-only is so, as the card shows it: after the first boot, and after the next.

Every boot that can write to its root adds to cloud-init's log. A device that has sealed its root has written down that
it has, and adds nothing any more.
"""

from dataclasses import dataclass
from typing import Final

from roost_provisioning.image.ext4 import Ext4

_ASKED: Final = "/etc/systemd/system/cloud-init.target.wants/image-seal.service"
_SEALED: Final = "/etc/overlayroot.local.conf"
_EACH_BOOT: Final = "/var/log/cloud-init.log"


@dataclass(frozen=True, slots=True)
class Root:
    """What a root file system shows at one moment."""

    asked: bool
    """The image was built with a read-only root."""
    sealed: bool
    """The device has switched it on."""
    log: bytes
    """What each boot adds to."""


def look(root: Ext4) -> Root:
    """Read a root whose journal was replayed."""
    asked = root.entry(_ASKED, follow=False) is not None
    return Root(asked, root.entry(_SEALED) is not None, root.read(_EACH_BOOT) or b"")


def wrong(first: Root, then: Root) -> str:
    """What is not as the image promised, after the first boot and after the next one; empty when all is. Pure."""
    if not first.asked:
        return "" if then.log != first.log else "The second boot left no trace on the root: does it write to it at all?"
    if not first.sealed:
        return "The image was to seal its root after the first boot, and has not."
    return "" if then.log == first.log else "The root is not read-only: the second boot wrote to it."
