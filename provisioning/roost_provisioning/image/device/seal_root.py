"""From the next start on the root is read-only. Run by image-seal.service once the first boot is complete.

The word on the kernel's command line is read by a script in the initramfs. It stands in two places: in cmdline.txt,
which the firmware reads, and in the answers from which a kernel update writes cmdline.txt anew.
"""

import sys
from pathlib import Path

from roost_broker.durable import write_durably

WORD = "roost.root=sealed"
CMDLINE = Path("/boot/firmware/cmdline.txt")
ANSWERS = Path("/etc/default/raspi-extra-cmdline")


def with_word(line: str) -> str:
    """A kernel command line with the word that seals, once. Pure."""
    words = [word for word in line.split() if word != WORD]
    return " ".join([*words, WORD]) + "\n"


def without_word(line: str) -> str:
    """The same line without it. Pure."""
    return " ".join(word for word in line.split() if word != WORD) + "\n"


def main(arguments: list[str]) -> int:
    """`off` takes the word away (it is for a person, on the device); nothing else puts it in."""
    change = without_word if arguments == ["off"] else with_word
    for path in (ANSWERS, CMDLINE):
        before = path.read_text() if path.exists() else ""
        after = change(before)
        if after != before:
            write_durably(path, after.encode(), mode=0o644)
    print(f"image-seal: from the next start on the root is {'writable' if change is without_word else 'read-only'}")  # noqa: T201  # the journal reads it
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
