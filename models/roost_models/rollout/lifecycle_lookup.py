"""Which published bundle is meant by a name and a version. Pure."""

from collections.abc import Iterable

from roost_broker.errors import Misuse
from roost_models.rollout.document import BundleRef
from roost_models.rollout.lifecycle import Entry


def find(entries: Iterable[Entry], name: str, version: str, task: str = "") -> tuple[str, BundleRef]:
    """Task and bundle. Raises `Misuse` when it was never published, or several tasks have one of that name."""
    everything = list(entries)
    found = {
        (entry.task, entry.bundle): None
        for entry in everything
        if (entry.bundle.name, entry.bundle.version) == (name, version) and task in ("", entry.task)
    }
    if not found:
        versions = sorted({entry.bundle.version for entry in everything if entry.bundle.name == name})
        there = (
            f"There are versions {', '.join(versions)}." if versions else "roost lifecycle show lists what there is."
        )
        raise Misuse(f"{name} {version} is not in the life cycle.", f"{there} roost registry publish brings one in.")
    if len(found) > 1:
        tasks = ", ".join(sorted({task for task, _ in found}))
        raise Misuse(f"{name} {version} stands there more than once ({tasks}).", "Name the task: --task.")
    return next(iter(found))
