import subprocess
import sys
from pathlib import Path

from roost_models.archive.reading import ArchiveReader
from roost_models.archive.writing import Archive


def archive_until_killed(folder: Path, first: int, receipts: int) -> int:
    """Run the child, kill it with -9 after some receipts, return the number of the last receipt it gave."""
    child = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("archiving_child.py")), str(folder), str(first)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    lines = [child.stdout.readline() for _ in range(receipts)]
    child.kill()
    lines += child.stdout.readlines()  # receipts given between the last one read and the end
    child.stdout.close()
    child.wait()
    return int([line for line in lines if line.endswith("\n")][-1])


def test_killed_in_the_middle_again_and_again_the_archive_holds_every_receipt_and_nothing_torn(tmp_path: Path) -> None:
    safe = -1
    for receipts in (1, 4, 9):
        safe = archive_until_killed(tmp_path, safe + 1, receipts)
    with ArchiveReader(tmp_path / "archive") as reader:  # opens as it was left, without a writer's recovery
        assert reader.stats().inputs > safe
    with Archive(tmp_path / "archive") as archive:
        assert archive._db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        inputs = list(archive.inputs())
        assert {item.seq for item in inputs} >= set(range(safe + 1))
        assert len({item.request_id for item in inputs}) == len(inputs)
        stats = archive.stats()
        assert (stats.scores, stats.scores_without_input) == (stats.inputs, 0)  # a batch is whole or absent
        assert stats.frames_removed > 0  # the budget was at work too
        held = {path.stem for path in archive.frames}
        assert len(held) == stats.frames
        for item in inputs:
            ref = item.request.input.frame
            assert ref is not None
            if ref.sha256 in held:
                assert len(archive.frames.read(ref)) == ref.bytes
