"""From the next start on the root is read-only. Run by image-seal.service once the first boot is complete.

Debian's package `overlayroot` does it, from the initramfs: it reads the file that is written here, and puts a layer in
memory over the root. The file is written last: a power cut before it leaves the device as it was.
"""

import re
from pathlib import Path

from roost_broker.durable import write_durably

FSTAB = Path("/etc/fstab")
WORD = Path("/etc/overlayroot.local.conf")
SAID = """\
# Written when the first boot was complete: from then on what is written to the root is forgotten at the next start.
# recurse=0: the root alone. The data partition keeps what is written to it.
overlayroot="tmpfs:recurse=0"
"""


def sealed_fstab(text: str) -> str:
    """An fstab whose firmware partition is read-only too: a kernel put there would miss its modules. Pure."""
    return re.sub(r"(?m)^([^#\s]\S*\s+/boot/firmware\s+\S+\s+)defaults\b", r"\1ro", text)


def main() -> int:
    """Seal. Can be repeated."""
    write_durably(FSTAB, sealed_fstab(FSTAB.read_text()).encode(), mode=0o644)
    write_durably(WORD, SAID.encode(), mode=0o644)
    print("image-seal: from the next start on the root is read-only")  # noqa: T201  # the journal reads it
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
