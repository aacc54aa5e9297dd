"""Whether a dataset is what it says: every version's parent, every picture's bytes, and a test that stayed a test."""

from pathlib import Path

from roost_broker.errors import FrameUnavailable, RoostError
from roost_broker.frames import FrameStore
from roost_models.datasets.document import Dataset
from roost_models.datasets.store import open_version, read_picture, versions


def check(folder: Path, name: str, frames: FrameStore) -> list[str]:
    """Everything that is wrong with any version, in sentences; empty when all is well."""
    found: list[str] = []
    tested: dict[str, int] = {}
    looked_at: dict[str, str] = {}
    digest_before: str | None = None
    for number in versions(folder, name):
        try:
            dataset, digest = open_version(folder, name, number)
        except RoostError as error:
            found.append(f"Version {number}: {error.problem}")
            digest_before = "unreadable"
            continue
        if dataset.parent != digest_before:
            found.append(f"Version {number} does not descend from the version before it as that is now.")
        digest_before = digest
        found += [f"Version {number}: {trouble}" for trouble in _inside(dataset)]
        for item in dataset.items:
            if item.split == "test":
                tested.setdefault(item.sha256, number)
            elif item.sha256 in tested:
                found.append(
                    f"Version {number} trains on {item.sha256[:12]}…, a test of version {tested[item.sha256]}."
                )
            if item.sha256 not in looked_at:
                looked_at[item.sha256] = _picture(frames, item.sha256)
                if looked_at[item.sha256]:
                    found.append(f"Version {number}: {looked_at[item.sha256]}")
    return found


def _inside(dataset: Dataset) -> list[str]:
    found = []
    digests = [item.sha256 for item in dataset.items]
    if digests != sorted(set(digests)):
        found.append("its pictures are not sorted, or one is there twice.")
    unknown = sorted({item.label for item in dataset.items} - set(dataset.labels))
    if unknown:
        found.append(f"pictures have labels that it does not name: {', '.join(unknown)[:200]}.")
    if len(set(dataset.labels)) != len(dataset.labels):
        found.append("it names a label twice.")
    splits: dict[str, set[str]] = {}
    for item in dataset.items:
        splits.setdefault(item.group, set()).add(item.split)
    divided = sorted(group for group, used in splits.items() if len(used) > 1)
    if divided:
        found.append(f"pictures of one site and day are in several splits: {', '.join(divided)[:200]}.")
    return found


def _picture(frames: FrameStore, sha256: str) -> str:
    try:
        read_picture(frames, sha256)
    except FrameUnavailable as error:
        return error.problem
    return ""
