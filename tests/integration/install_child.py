"""An installation as the agent makes it, in a process that ends at a given file operation.

Brings version 2 from the registry into the store, verifies it, and lets the pointer name it. Every operation that
changes the disk is counted (open to write, write, fsync, rename, link, mkdir, unlink, rmdir); before the Nth one the
process is gone. With N = 0 it runs to the end and says how many there were.

`install_child REGISTRY` reads lines `N ROOT` and answers each with `status count`, forking for each: the imports cost
more than the installation.
"""

import os
import sys
from pathlib import Path
from typing import NoReturn

from cutting import Cuts
from roost_edge.ota.lines import Line
from roost_edge.ota.pointers import OtaFolder
from roost_edge.ota.settings import TrialSettings
from roost_edge.ota.standing import Content
from roost_edge.ota.trying import Workshop
from roost_models.registry.limits import Limits
from roost_models.registry.reader import RegistryReader
from roost_models.registry.store import BundleStore

LINE = Line("nest", "champion", "hen")


def install(root: Path, registry: Path) -> None:
    """What the registry process, the workshop and the pointer do one after the other."""
    folder, store = OtaFolder(root), BundleStore(root)
    limits = Limits(reserve_bytes=0)
    reader = RegistryReader(
        str(registry / "public"), folder.registry, (registry / "root.json").read_bytes(), limits=limits
    )
    reader.refresh()
    document = reader.rollout(LINE.task, LINE.bundle)
    assert document is not None
    new = document.bundle
    reader.fetch(LINE.task, new.name, new.version, store, digest=new.digest)
    content = Content(name=new.name, version=new.version, digest=new.digest)
    Workshop(store, root / "unpacked", {}, TrialSettings()).verify(LINE, content)
    standing = folder.standing(LINE)
    assert standing is not None
    folder.write_standing(LINE, standing.with_other(content, "shadow"))
    folder.write_standing(LINE, standing.with_other(content, "shadow").swapped("fallback"))


def one(root: Path, registry: Path, number: int, answer: int) -> NoReturn:
    """The forked process."""
    counter = Cuts(root, number)
    install(root, registry)
    os.write(answer, str(counter.count).encode())
    os._exit(0)


def main(registry: Path) -> None:
    for line in sys.stdin:
        number, _, root = line.rstrip("\n").partition(" ")
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            one(Path(root), registry, int(number), writing)
        os.close(writing)
        count = os.read(reading, 100).decode() or "0"
        os.close(reading)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), count, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
