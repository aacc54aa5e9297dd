"""The store of sketches under kill -9: what was put is there, whole, and the file opens without repair."""

import subprocess
import sys
from pathlib import Path

import pytest

from roost_rendezvous.analytics.sketches.asking import SketchReader
from roost_rendezvous.analytics.sketches.qualifiers import PERIOD_S, Wish

pytestmark = pytest.mark.processes
CHILD = Path(__file__).with_name("sketch_writer_child.py")
FAR = 10_000_000 * PERIOD_S


def counted(path: Path, since: int, until: int, *, rolled_up: bool) -> int:
    reader = SketchReader(path)
    found = reader.ask(Wish(kind="score"), since, until, rolled_up=rolled_up)
    reader.close()
    assert found.unreadable == 0
    return 0 if found.sketch is None else round(found.sketch.count)


def test_a_writer_killed_again_and_again_loses_nothing_and_leaves_no_half_period(tmp_path: Path) -> None:
    path = tmp_path / "sketches.db"
    kept: set[int] = set()
    for wanted in (7, 45, 31):
        first = max(kept, default=-2) + 2  # the one that was in hand may be there or not
        child = subprocess.Popen([sys.executable, CHILD, path, str(first)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        with child, child.stdout:
            for _, line in zip(range(wanted), child.stdout, strict=False):
                kept.add(int(line))
            assert counted(path, 0, FAR, rolled_up=True) >= 500 * len(kept)  # a reader beside the writer
            child.kill()
            kept.update(int(line) for line in child.stdout if line.endswith("\n"))
    assert len(kept) >= 83
    for index in kept:
        assert counted(path, index * PERIOD_S, (index + 1) * PERIOD_S, rolled_up=False) == 500
    whole = counted(path, 0, FAR, rolled_up=False)
    assert whole % 500 == 0
    assert 0 <= whole // 500 - len(kept) <= 3
    assert counted(path, 0, FAR, rolled_up=True) == whole
    assert not path.with_suffix(".damaged").exists()
