"""An installation that is cut at every operation on the disk leaves the old bundle or the new one, whole."""

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from install_child import LINE, install
from ota_world import SAYS, make_bundle, ref
from power_cut import CutDisk, why_not

from roost_edge.ota.pointers import OtaFolder
from roost_edge.ota.standing import Content, first
from roost_models.registry.setting_up import Plan
from roost_models.registry.store import BundleStore
from roost_models.registry.writer import Registry
from roost_models.rollout.document import Rollout

CHILD = Path(__file__).with_name("install_child.py")
BALLAST = "# " + "x" * 200_000 + "\n"


class Shop:
    """A registry with version 2, and a device's folder in which version 1 answers from the store."""

    def __init__(self, folder: Path) -> None:
        self.registry = folder / "registry"
        writer = Registry(self.registry)
        root = writer.init(Plan(root_keys=folder / "root-keys", targets_online=True))
        (self.registry / "root.json").write_bytes(root)
        self.old = make_bundle(folder / "old", "1.0.0", SAYS.format(label="old"), label="old")
        self.new = make_bundle(folder / "new", "2.0.0", SAYS.format(label="new") + BALLAST, label="new")
        writer.publish(self.new)
        writer.set_rollout(
            Rollout(
                rollout_id="r", generation=1, task="nest", bundle=ref(self.new), state="running", shadow=1, serving=1
            )
        )

    def begin(self, root: Path) -> None:
        """Version 1 answers, durably."""
        store, data = BundleStore(root), (self.old.root / "manifest.json").read_bytes()
        files = {
            entry.sha256: store.adopt(entry.sha256, self.old.root / path)
            for path, entry in self.old.manifest.files.items()
        }
        store.assemble(data, self.old.manifest, {sha256: path for sha256, path in files.items() if path is not None})
        OtaFolder(root).write_standing(LINE, first(Content(name="hen", version="1.0.0", digest=self.old.digest)))

    def after_a_cut(self, root: Path) -> str:
        """`old` or `new`: what answers now, and that each slot in use opens whole. Then the rest is made up for."""
        standing = OtaFolder(root).standing(LINE)
        assert standing is not None, "neither: there is no pointer"
        store = BundleStore(root)
        for slot in standing.running:
            assert store.open(standing.slots[slot].digest) is not None, f"slot {slot} is not whole"
        found = {self.old.digest: "old", self.new.digest: "new"}[standing.serving.digest]
        if found == "old":
            install(root, self.registry)  # the next start brings it about
        again = OtaFolder(root).standing(LINE)
        assert again is not None
        assert again.serving.digest == self.new.digest
        return found


class Installer:
    """Makes installations that end at a given operation; one helper process for all of them."""

    def __init__(self, registry: Path) -> None:
        command = [sys.executable, str(CHILD), str(registry)]
        environment = os.environ | {"PYTHONPATH": str(CHILD.parents[1])}  # where `cutting` is
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __enter__(self) -> "Installer":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def cut_at(self, root: Path, number: int) -> tuple[int, int]:
        """Exit status (99: it was cut) and, when it was not, how many operations there were."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{number} {root}\n")
        self._process.stdin.flush()
        status, count = self._process.stdout.readline().split()
        return int(status), int(count)


def test_a_process_that_ends_at_any_file_operation_leaves_old_or_new_and_the_next_one_completes_it(
    tmp_path: Path,
) -> None:
    shop = Shop(tmp_path)
    base = tmp_path / "base"
    shop.begin(base)
    whole = tmp_path / "whole"
    shutil.copytree(base, whole)
    found: Counter[str] = Counter()
    with Installer(shop.registry) as installer:
        status, operations = installer.cut_at(whole, 0)
        assert (status, operations > 40) == (0, True)
        for number in range(1, operations + 1):
            root = tmp_path / "cut"
            shutil.copytree(base, root)
            assert installer.cut_at(root, number)[0] == 99, number
            found[shop.after_a_cut(root)] += 1
            shutil.rmtree(root)
    assert found["old"] > 0
    assert found["new"] > 0
    assert found.total() == operations


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[CutDisk]:
    if reason := why_not():
        pytest.skip(reason)
    try:
        made = CutDisk(tmp_path / "disk.img", tmp_path / "mounted")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"Cutting power needs a loop mount, which this machine refuses: {error.stderr.decode().strip()}")
    yield made
    made.unmount()


@pytest.mark.parametrize("wait_s", [0.0, 2.5], ids=["at once", "after the journal's commit"])
def test_power_that_fails_at_any_point_of_an_installation_leaves_old_or_new_on_ext4(
    tmp_path: Path, disk: CutDisk, wait_s: float
) -> None:
    shop = Shop(tmp_path)
    base = tmp_path / "base"
    shop.begin(base)
    found: Counter[str] = Counter()
    with Installer(shop.registry) as installer:
        _, operations = installer.cut_at(Path(shutil.copytree(base, tmp_path / "whole")), 0)
        # Waiting costs seconds each time: a few points, spread, and both sides of the pointer's change.
        few = [*range(1, operations, operations // 4), operations - 2, operations + 1]
        for number in few if wait_s else range(1, operations + 2):
            root = disk.at / "ota"
            shutil.rmtree(root, ignore_errors=True)
            shutil.copytree(base, root)
            subprocess.run(["sync", "-f", str(disk.at)], check=True)
            installer.cut_at(root, number)
            time.sleep(wait_s)  # the kernel's own commit must come between: a cut at once hides what was not synced
            disk.cut()
            found[shop.after_a_cut(disk.at / "ota")] += 1
    assert set(found) == {"old", "new"}
    print(f"{found.total()} cuts: {dict(found)}")
