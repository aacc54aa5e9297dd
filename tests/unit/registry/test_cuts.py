"""Whoever is killed at any write leaves a registry that devices can use, and a device that can go on."""

import pytest
from registry_world import NAME, TASK, RegistryWorld

from cutting import cuts
from roost_broker.errors import RoostError
from roost_models.registry import rotation
from roost_models.registry.refreshing import refresh
from roost_models.registry.status import status_of


def test_publishing_is_cut_at_every_write_and_devices_see_the_old_state_or_the_new(world: RegistryWorld) -> None:
    old = world.publish("1.0")
    new = world.bundle("1.1", head=b"new")
    for number in cuts(world.registry.root, lambda: world.open().publish(new), least=6):
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
    for number in cuts(
        world.registry.root, lambda: rotation.rotate(world.open(world.stick), role, folder=home), least=6
    ):
        for reader in (returning, world.reader(device=f"new-{number}")):
            reader.refresh()
            assert reader.rollout(TASK, NAME) is not None
        assert not [text for text in status_of(world.open(world.stick)).problems if "not signed" in text]


def test_refreshing_is_cut_at_every_write_and_the_registry_is_served_on(world: RegistryWorld) -> None:
    world.rollout(world.publish())
    for number in cuts(world.registry.root, lambda: refresh(world.open(world.stick), force=True), least=6):
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

    for _ in cuts(world.folder / "device", update, least=6):
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
    for _ in cuts(world.folder / "device", lambda: world.reader().refresh(), least=6):
        reader = world.reader()
        reader.refresh()
        assert reader.manifest(TASK, NAME, "1.1") is not None
        with pytest.raises(RoostError, match="rollback"):
            world.reader(old).refresh()
        world.registry.publish(world.bundle(f"2.{_}", head=bytes([_])))  # so that the next one has something to write
