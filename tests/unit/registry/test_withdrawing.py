"""A bundle that is taken out of the registry: what devices find, what stays, what never comes again."""

from pathlib import Path

import pytest
from registry_world import NAME, TASK, RegistryWorld
from tuf.api.metadata import Targets

from roost_broker.errors import Misuse
from roost_models.registry import layout, publishing, rotation
from roost_models.registry.errors import AlreadyPublished, RegistryRefused
from roost_models.registry.metadata_files import MetadataFiles
from roost_models.registry.setting_up import Plan
from roost_models.registry.withdrawing import withdraw, withdrawn_of
from roost_models.rollout.document import BundleRef
from roost_models.rollout.lifecycle_log import LifecycleLog


class CutFiles(MetadataFiles):
    """Killed just before the timestamp is written."""

    def write(self, role: str, version: int, data: bytes) -> None:
        if role == layout.TIMESTAMP:
            raise KeyboardInterrupt
        super().write(role, version, data)


@pytest.fixture
def world(tmp_path: Path) -> RegistryWorld:
    return RegistryWorld(tmp_path)


def test_a_withdrawn_bundle_is_gone_for_devices_and_the_other_one_keeps_the_files_they_share(
    world: RegistryWorld,
) -> None:
    first, second = world.publish("1.0"), world.publish("2.0", head=b"other head")
    older = world.mirror()
    assert withdraw(world.registry, TASK, NAME, "1.0", why="learned from a mislabelled day")
    reader = world.reader()
    reader.refresh()
    assert reader.manifest(TASK, NAME, "1.0") is None
    assert [one.version for one in reader.candidates(TASK)] == ["2.0"]
    with pytest.raises(RegistryRefused) as refused:
        reader.fetch(TASK, NAME, "1.0", world.store())
    assert refused.value.reason == "not-published"
    assert reader.fetch(TASK, NAME, "2.0", world.store()).digest == second.digest
    left = {path.name for path in (world.registry.public / "targets" / "files").iterdir()}
    assert left == {entry.sha256 for entry in second.manifest.files.values()}
    assert first.manifest.files["head.bin"].sha256 not in left
    with pytest.raises(RegistryRefused) as back:  # a mirror from before cannot bring it back
        world.reader(older).refresh()
    assert back.value.reason == "rollback"


def test_a_withdrawn_version_never_comes_again_and_withdrawing_twice_is_nothing(world: RegistryWorld) -> None:
    bundle = world.publish("1.0")
    assert withdraw(world.registry, TASK, NAME, "1.0", why="bad")
    assert not withdraw(world.registry, TASK, NAME, "1.0")
    for content in (bundle, world.bundle("1.0", head=b"another")):
        with pytest.raises(AlreadyPublished, match="withdrawn"):
            world.registry.publish(content)
    world.publish("1.1")  # the note outlives later changes
    with pytest.raises(AlreadyPublished):
        world.registry.publish(bundle)
    targets = world.registry.files.targets(layout.task_role(TASK)).signed
    assert isinstance(targets, Targets)
    assert [note["why"] for note in withdrawn_of(targets).values()] == ["bad"]


@pytest.mark.parametrize(
    ("state", "version", "refused"),
    [
        ("running", "2.0", True),
        ("running", "1.0", True),
        ("paused", "1.0", True),
        ("complete", "2.0", True),
        ("complete", "1.0", False),
        ("aborted", "2.0", False),
        ("aborted", "1.0", True),
    ],
)
def test_what_a_roll_out_brings_devices_to_is_not_withdrawn(
    world: RegistryWorld, state: str, version: str, refused: bool
) -> None:
    old, new = world.publish("1.0"), world.publish("2.0", head=b"2")
    world.rollout(new, previous=BundleRef(name=NAME, version="1.0", digest=old.digest), state=state)
    if not refused:
        assert withdraw(world.registry, TASK, NAME, version)
        return
    with pytest.raises(Misuse, match="brings devices to"):
        withdraw(world.registry, TASK, NAME, version)
    assert len(world.registry.bundles()) == 2


def test_killed_before_the_new_metadata_count_it_is_there_and_after_them_the_rest_is_done_next_time(
    world: RegistryWorld,
) -> None:
    bundle = world.publish("1.0")
    killed = world.open()
    killed.files = CutFiles(killed.files.folder)
    with pytest.raises(KeyboardInterrupt):
        withdraw(killed, TASK, NAME, "1.0")
    reader = world.reader()
    reader.refresh()
    assert reader.fetch(TASK, NAME, "1.0", world.store()).digest == bundle.digest
    assert withdraw(world.registry, TASK, NAME, "1.0")


def test_a_registry_that_lost_its_timestamp_is_not_set_up_anew_over_what_devices_trust(world: RegistryWorld) -> None:
    world.publish("1.0")
    (world.registry.public / "metadata" / "timestamp.json").unlink()
    before = sorted(path.name for path in (world.registry.public / "metadata").iterdir())
    with pytest.raises(Misuse, match="lost its timestamp"):
        world.registry.init(Plan(root_keys=world.stick))
    assert sorted(path.name for path in (world.registry.public / "metadata").iterdir()) == before


def test_new_keys_of_root_are_never_made_online(world: RegistryWorld) -> None:
    with pytest.raises(Misuse, match="online"):
        rotation.rotate(world.registry, layout.ROOT)
    assert list(world.registry.keys.glob("root-*")) == []


def test_the_key_of_a_new_task_lies_with_those_of_the_others_when_they_are_offline(tmp_path: Path) -> None:
    world = RegistryWorld(tmp_path, tasks_offline=True)
    world.publish("1.0", task="door")
    assert list(world.registry.keys.glob("task-*")) == []
    assert len(list(world.stick.glob("task-door-*.pem"))) == 1


def test_withdrawing_retires_the_bundle_in_its_life_cycle_and_one_in_production_stays(
    world: RegistryWorld, tmp_path: Path
) -> None:
    log = LifecycleLog(tmp_path / "lifecycle.jsonl")
    for version in ("1.0", "2.0"):
        publishing.publish(
            world.registry,
            log,
            world.bundle(version, head=version.encode()),
            report=None,
            without_evaluation="a test",
            author="ann",
        )
    one, two = (reference for _, reference, _ in world.registry.bundles())
    log.move(TASK, one, "production", author="ann", at_ms=1)
    with pytest.raises(Misuse, match="production"):
        publishing.withdraw(world.registry, log, TASK, one, author="ann", why="no")
    for _ in range(2):  # the second time finds nothing to do
        publishing.withdraw(world.registry, log, TASK, two, author="bob", why="mislabelled")
    assert [found.version for _, found, _ in world.registry.bundles()] == ["1.0"]
    last = log.entries()[-1]
    assert (last.phase, last.author, last.why) == ("retirement", "bob", "mislabelled")
    assert [entry.phase for entry in log.entries() if entry.bundle == two].count("retirement") == 1
