"""Whoever is killed at any write leaves a registry that devices can use, and a device that can go on.

The work is done in a forked child, whose audit hook ends it without warning before the n-th thing it does to a file;
n counts up until the work gets through. Files that were being written are left as far as they had come.
"""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from registry_world import NAME, TASK, RegistryWorld

from roost_broker.errors import RoostError
from roost_models.registry import rotation
from roost_models.registry.refreshing import refresh
from roost_models.registry.status import status_of

CUT = 99
_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate", "os.symlink"}


def cut_at(number: int, below: Path, work: Callable[[], object]) -> bool:
    """Do the work in a child that dies at its n-th change of a file; whether it got through."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _die_at(number, str(below))
            work()
            status = 0
        except RoostError:
            status = 2
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, CUT), f"the work itself failed with {status}"
    return status == 0


def _die_at(number: int, below: str) -> None:
    seen = 0

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (event in _CHANGES or writes) and str(arguments[0]).startswith(below):
            seen += 1
            if seen == number:
                os._exit(CUT)

    sys.addaudithook(watch)


def cuts(below: Path, work: Callable[[], object]) -> Iterator[int]:
    """Each cut in turn, until the work gets through; there must be many, or nothing was watched."""
    for number in range(1, 300):
        done = cut_at(number, below, work)
        yield number
        if done:
            assert number > 5, "hardly anything was written: is the hook watching?"
            return
    pytest.fail("the work never got through")


def test_publishing_is_cut_at_every_write_and_devices_see_the_old_state_or_the_new(world: RegistryWorld) -> None:
    old = world.publish("1.0")
    new = world.bundle("1.1", head=b"new")
    for number in cuts(world.registry.root, lambda: world.open().publish(new)):
        reader = world.reader(device=f"device-{number}")
        reader.refresh()
        found = {one.version: one.digest for one in reader.candidates(TASK)}
        assert found in ({"1.0": old.digest}, {"1.0": old.digest, "1.1": new.digest})
        for version, digest in found.items():
            assert reader.fetch(TASK, NAME, version, world.store(f"device-{number}")).digest == digest
        refresh(world.open(), force=True)  # the next writer goes on, and the next cut meets a registry as left
    assert set(found) == {"1.0", "1.1"}


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", f"task-{TASK}", "root"])
def test_changing_keys_is_cut_at_every_write_and_devices_are_never_locked_out(role: str, world: RegistryWorld) -> None:
    world.rollout(world.publish())
    home = world.stick if role in ("root", "targets") else world.registry.keys
    returning = world.reader(device="returning")
    for number in cuts(world.registry.root, lambda: rotation.rotate(world.open(world.stick), role, folder=home)):
        for reader in (returning, world.reader(device=f"new-{number}")):
            reader.refresh()
            assert reader.rollout(TASK, NAME) is not None
        assert not [text for text in status_of(world.open(world.stick)).problems if "not signed" in text]


def test_refreshing_is_cut_at_every_write_and_the_registry_is_served_on(world: RegistryWorld) -> None:
    world.rollout(world.publish())
    for number in cuts(world.registry.root, lambda: refresh(world.open(world.stick), force=True)):
        reader = world.reader(device=f"device-{number}")
        reader.refresh()
        assert reader.rollout(TASK, NAME) is not None


def test_a_fetch_is_cut_at_every_write_and_the_bundle_is_whole_or_not_there(world: RegistryWorld) -> None:
    old = world.publish("1.0")
    new = world.publish("1.1", head=b"new")
    first = world.reader()
    first.refresh()
    first.fetch(TASK, NAME, "1.0", world.store())

    def update() -> None:
        reader = world.reader()
        reader.refresh()
        reader.fetch(TASK, NAME, "1.1", world.store())

    for _ in cuts(world.folder / "device", update):
        store = world.store()
        assert store.open(old.digest) is not None
        assert store.digests() in ([old.digest], sorted([old.digest, new.digest]))
        assert store.open(new.digest) is not None or new.digest not in store.digests()
    assert world.store().open(new.digest) is not None


def test_a_refresh_of_a_device_is_cut_at_every_write_and_nothing_older_is_taken_afterwards(
    world: RegistryWorld,
) -> None:
    world.publish("1.0")
    world.reader().refresh()
    old = world.mirror()
    world.publish("1.1", head=b"new")
    for _ in cuts(world.folder / "device", lambda: world.reader().refresh()):
        reader = world.reader()
        reader.refresh()
        assert reader.manifest(TASK, NAME, "1.1") is not None
        with pytest.raises(RoostError, match="rollback"):
            world.reader(old).refresh()
        world.registry.publish(world.bundle(f"2.{_}", head=bytes([_])))  # so that the next one has something to write
