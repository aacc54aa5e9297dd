"""Keys change while devices look; nobody is left behind, and the old keys count no more."""

from pathlib import Path

import pytest
from registry_world import NAME, TASK, RegistryWorld

from roost_broker.errors import Misuse
from roost_models.registry import rotation
from roost_models.registry.errors import KeysMissing, RegistryRefused
from roost_models.registry.keys import KeyRing
from roost_models.registry.refreshing import refresh
from roost_models.registry.setting_up import Quorum
from roost_models.registry.status import status_of

ROLES = ["root", "targets", "snapshot", "timestamp", "rollouts", f"task-{TASK}"]


def keys_of(world: RegistryWorld, role: str) -> list[str]:
    return world.registry.signers(role)[0]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_gets_new_keys_and_devices_old_and_new_follow(role: str, world: RegistryWorld) -> None:
    document = world.rollout(world.publish())
    old_device = world.reader(device="old")
    old_device.refresh()
    before = keys_of(world, role)
    home = world.stick if role in ("root", "targets") else world.registry.keys
    rotation.rotate(world.registry, role, folder=home)
    assert not set(before) & set(keys_of(world, role))
    for reader in (old_device, world.reader(device="old"), world.reader(device="new")):
        reader.refresh()
        assert reader.rollout(TASK, NAME) == document
        assert reader.manifest(TASK, NAME, "1.0") is not None
    assert not list(world.registry.keys.glob(f"*-{before[0]}.pem"))
    assert status_of(world.registry).problems == []


def test_a_device_that_was_off_follows_many_changes_of_root(world: RegistryWorld) -> None:
    reader = world.reader()
    reader.refresh()
    for _ in range(5):
        rotation.rotate(world.registry, "root", folder=world.stick)
        rotation.rotate(world.registry, "timestamp", folder=world.registry.keys)
    reader.refresh()
    assert reader.versions["root"] == 11


def test_one_lost_key_of_three_is_replaced_by_the_other_two(tmp_path: Path) -> None:
    world = RegistryWorld(tmp_path, root=Quorum(keys=3, threshold=2))
    lost, *left = keys_of(world, "root")
    next(world.stick.glob(f"*-{lost}.pem")).unlink()
    registry = world.open(world.stick)
    rotation.rotate(registry, "root", folder=world.stick, replace=[lost[:10]])
    assert set(left) < set(keys_of(world, "root"))
    assert len(keys_of(world, "root")) == 3
    world.reader().refresh()


def test_without_enough_keys_of_the_old_root_there_is_no_new_one_and_no_key_is_left_behind(
    world: RegistryWorld,
) -> None:
    before = sorted(world.registry.keys.iterdir())
    with pytest.raises(KeysMissing, match="root needs the signatures"):
        rotation.rotate(world.open(), "timestamp", folder=world.registry.keys)
    assert sorted(world.registry.keys.iterdir()) == before
    assert world.registry.files.versions("root") == [1]


def test_a_root_is_signed_on_machines_that_have_no_registry(tmp_path: Path) -> None:
    """1. The centre proposes. 2. Two holders of keys sign, one after the other. 3. The centre accepts."""
    world = RegistryWorld(tmp_path, root=Quorum(keys=2, threshold=2), targets_online=True)
    holders = [tmp_path / "ann", tmp_path / "bob"]
    for holder, path in zip(holders, sorted(world.stick.glob("root-*.pem")), strict=True):
        holder.mkdir()
        path.rename(holder / path.name)
    centre = world.open()
    with centre.locked():
        proposal = rotation.propose(centre, "timestamp")
    for count, holder in enumerate(holders, 1):
        with centre.locked(), pytest.raises(KeysMissing):
            rotation.accept(centre, proposal)
        sent = rotation.read_proposal(rotation.render_proposal(proposal))
        proposal, used = rotation.sign(sent, KeyRing([holder]))
        assert len(used) == 1
        assert len(proposal.metadata["signatures"]) == count
    with centre.locked():
        rotation.accept(centre, proposal)
    world.reader().refresh()
    assert world.registry.files.root().signed.version == 2


def test_a_proposal_that_was_overtaken_is_refused(world: RegistryWorld) -> None:
    with world.registry.locked():
        proposal = rotation.propose(world.registry, "timestamp")
    rotation.rotate(world.registry, "snapshot", folder=world.registry.keys)
    signed, _ = rotation.sign(proposal, world.registry.ring)
    with pytest.raises(Misuse, match="is in force"):
        rotation.accept(world.registry, signed)


def test_a_role_whose_online_key_was_lost_works_again_after_the_rotation(world: RegistryWorld) -> None:
    for path in world.registry.keys.glob("timestamp-*"):
        path.unlink()
    registry = world.open(world.stick)
    with pytest.raises(KeysMissing):
        refresh(registry, force=True)
    rotation.rotate(registry, "timestamp", folder=registry.keys)
    world.reader().refresh()
    assert status_of(registry).problems == []


def test_more_keys_and_a_higher_threshold_can_be_asked_for(world: RegistryWorld) -> None:
    rotation.rotate(world.registry, "rollouts", folder=world.registry.keys, quorum=Quorum(keys=3, threshold=2))
    assert len(keys_of(world, "rollouts")) == 3
    world.rollout(world.publish())
    reader = world.reader()
    reader.refresh()
    assert reader.rollout(TASK, NAME) is not None


@pytest.mark.parametrize(
    ("role", "key", "complaint"),
    [("nobody", None, "no role nobody"), ("root", ["zz"], "begins the id of 0 keys")],
)
def test_what_cannot_be_rotated(role: str, key: list[str] | None, complaint: str, world: RegistryWorld) -> None:
    with pytest.raises(Misuse, match=complaint):
        rotation.rotate(world.registry, role, folder=world.stick, replace=key)


def test_a_stick_exported_before_a_rotation_is_refused_and_the_remedy_is_a_new_export(world: RegistryWorld) -> None:
    stick, reader = world.mirror(), world.reader()
    reader.refresh()
    rotation.rotate(world.registry, "timestamp", folder=world.registry.keys)
    reader.refresh()
    with pytest.raises(RegistryRefused) as refused:
        world.reader(stick).refresh()
    assert refused.value.reason == "signature"
    assert "Export it again" in refused.value.remedy
