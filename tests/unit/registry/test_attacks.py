"""What somebody between the registry and a device can try, and the name under which each is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from registry_world import NAME, TASK, WEIGHTS, RegistryWorld, edit_json

from roost_models.registry import rotation
from roost_models.registry.errors import RegistryRefused, RegistryUnreachable
from roost_models.registry.layout import file_path
from roost_models.registry.limits import Limits

Attack = Callable[[RegistryWorld, Path], None]
"""Changes a mirror that a device is about to look at."""


def newest(mirror: Path, role: str) -> Path:
    found = sorted((mirror / "metadata").glob(f"*.{role}.json"), key=lambda path: int(path.name.split(".")[0]))
    return found[-1]


def replace(mirror: Path, role: str, **changes: object) -> None:
    name = mirror / "metadata" / "timestamp.json" if role == "timestamp" else newest(mirror, role)
    edit_json(name, **changes)


def signed_by_a_stranger(world: RegistryWorld, mirror: Path) -> None:
    stranger = RegistryWorld(world.folder / "stranger")
    shutil.copy(stranger.registry.public / "metadata" / "timestamp.json", mirror / "metadata" / "timestamp.json")


def a_snapshot_of_before(world: RegistryWorld, mirror: Path) -> None:
    newest(mirror, "snapshot").write_bytes((mirror / "metadata" / "1.snapshot.json").read_bytes())


def bundles_of_before(world: RegistryWorld, mirror: Path) -> None:
    newest(mirror, f"task-{TASK}").write_bytes((mirror / "metadata" / f"1.task-{TASK}.json").read_bytes())


def no_json(world: RegistryWorld, mirror: Path) -> None:
    (mirror / "metadata" / "timestamp.json").write_bytes(b"[" * 10_000)


def fast_forward(world: RegistryWorld, mirror: Path) -> None:
    replace(mirror, "timestamp", version=2**31)


def later_end(world: RegistryWorld, mirror: Path) -> None:
    replace(mirror, "timestamp", expires="2099-01-01T00:00:00Z")


def a_longer_timestamp(world: RegistryWorld, mirror: Path) -> None:
    path = mirror / "metadata" / "timestamp.json"
    path.write_bytes(path.read_bytes() + b" " * 20_000)


def a_link_out_of_the_stick(world: RegistryWorld, mirror: Path) -> None:
    (mirror / "metadata" / "timestamp.json").unlink()
    (mirror / "metadata" / "timestamp.json").symlink_to("/etc/passwd")


def a_fifo(world: RegistryWorld, mirror: Path) -> None:
    import os

    (mirror / "metadata" / "timestamp.json").unlink()
    os.mkfifo(mirror / "metadata" / "timestamp.json")


METADATA: dict[str, tuple[Attack, str]] = {
    "a timestamp whose end was put off": (later_end, "signature"),
    "a fast forward without the key": (fast_forward, "signature"),
    "a timestamp of an unknown key": (signed_by_a_stranger, "signature"),
    "a snapshot of another state": (a_snapshot_of_before, "mix-and-match"),
    "bundles of another state": (bundles_of_before, "mix-and-match"),
    "a timestamp that is no JSON": (no_json, "malformed"),
    "a timestamp without end": (a_longer_timestamp, "endless"),
    "a link that leads out of the stick": (a_link_out_of_the_stick, "malformed"),
    "a FIFO that would wait for ever": (a_fifo, "malformed"),
}  # fmt: skip


@pytest.mark.parametrize("name", METADATA)
@pytest.mark.parametrize("seen", [False, True], ids=["a new device", "a device that was there"])
def test_metadata_attack(name: str, seen: bool, world: RegistryWorld) -> None:
    attack, reason = METADATA[name]
    world.publish("1.0")
    if seen:
        world.reader().refresh()
    world.publish("1.1", head=b"better")
    mirror = world.mirror()
    attack(world, mirror)
    reader = world.reader(mirror)

    def look() -> None:
        reader.refresh()
        reader.manifest(TASK, NAME, "1.1")

    with pytest.raises(RegistryRefused) as refused:
        look()
    assert refused.value.reason == reason
    assert refused.value.remedy
    honest = world.reader()
    honest.refresh()  # nothing of it stays
    assert honest.manifest(TASK, NAME, "1.1") is not None


def test_an_older_mirror_is_a_rollback(world: RegistryWorld) -> None:
    world.publish("1.0")
    old = world.mirror()
    world.publish("1.1", head=b"better")
    world.reader().refresh()
    with pytest.raises(RegistryRefused, match="rollback") as refused:
        world.reader(old).refresh()
    assert refused.value.reason == "rollback"


@pytest.mark.parametrize("lost", ["everything but the floor", "emptied by a power cut"])
def test_an_older_mirror_is_a_rollback_even_when_the_cache_was_lost(lost: str, world: RegistryWorld) -> None:
    world.publish("1.0")
    old = world.mirror()
    rotation.rotate(world.registry, "timestamp", folder=world.registry.keys)
    world.publish("1.1", head=b"better")
    world.reader().refresh()
    cache = world.folder / "device" / "cache"
    if lost == "emptied by a power cut":
        for path in (cache / "metadata").rglob("*.json"):
            path.write_bytes(b"")
    else:
        shutil.rmtree(cache / "metadata")
    with pytest.raises(RegistryRefused) as refused:
        world.reader(old).refresh()
    assert refused.value.reason == "rollback"
    world.reader().refresh()  # the newest state is taken, and the cache built again


@pytest.mark.parametrize(
    "what", ["metadata/timestamp.json", "metadata/root_history/1.root.json", "metadata", "documents"]
)
@pytest.mark.parametrize("how", [b"", b"\0" * 4096, b"{}"], ids=["empty", "zeros", "another"])
def test_a_damaged_cache_is_built_again(what: str, how: bytes, world: RegistryWorld) -> None:
    bundle = world.publish()
    document = world.rollout(bundle)
    first = world.reader()
    first.refresh()
    first.rollout(TASK, NAME)
    place = world.folder / "device" / "cache" / what
    if place.is_dir():
        shutil.rmtree(place)
    place.write_bytes(how)
    reader = world.reader()
    reader.refresh()
    assert reader.rollout(TASK, NAME) == document
    assert reader.notes or what != "metadata"


def test_one_damaged_floor_costs_nothing_and_two_are_told(world: RegistryWorld) -> None:
    world.publish("1.0")
    world.reader().refresh()
    old = world.mirror()
    world.publish("1.1", head=b"better")
    world.reader().refresh()
    cache = world.folder / "device" / "cache"
    shutil.rmtree(cache / "metadata")
    newer = max(cache.glob("floor.*"), key=lambda path: path.stat().st_mtime_ns)
    older = min(cache.glob("floor.*"), key=lambda path: path.stat().st_mtime_ns)
    older.write_bytes(b"")
    with pytest.raises(RegistryRefused, match="rollback"):
        world.reader(old).refresh()
    newer.write_bytes(b"\0" * 100)
    shutil.rmtree(cache / "metadata", ignore_errors=True)
    reader = world.reader()
    reader.refresh()
    assert "begins anew" in reader.notes[0]


def test_a_registry_that_is_held_back_is_a_freeze(world: RegistryWorld) -> None:
    world.publish()
    mirror = world.mirror()
    world.reader(mirror).refresh()
    world.pass_days(7.1)
    with pytest.raises(RegistryRefused) as refused:
        world.reader(mirror).refresh()
    assert refused.value.reason == "freeze"


def test_a_clock_that_fell_back_does_not_make_expired_metadata_fresh(world: RegistryWorld) -> None:
    world.publish()
    mirror = world.mirror()
    world.pass_days(20)
    world.registry = world.open(world.stick)
    from roost_models.registry.refreshing import refresh

    refresh(world.registry, force=True)
    world.reader().refresh()
    shutil.rmtree(world.folder / "device" / "cache" / "metadata")
    world.pass_days(-18)  # a device without a clock chip, started again
    with pytest.raises(RegistryRefused) as refused:
        world.reader(mirror).refresh()
    assert refused.value.reason in ("freeze", "rollback")


def test_an_altered_file_of_a_bundle_is_refused_and_not_kept(world: RegistryWorld) -> None:
    published = world.publish()
    mirror = world.mirror()
    sha256 = published.manifest.files["weights.bin"].sha256
    (mirror / file_path(sha256)).write_bytes(WEIGHTS[:-1] + b"#")
    reader, store = world.reader(mirror), world.store()
    reader.refresh()
    with pytest.raises(RegistryRefused) as refused:
        reader.fetch(TASK, NAME, "1.0", store)
    assert refused.value.reason == "altered"
    assert store.file(sha256) is None
    assert not store.part(sha256).exists()
    assert store.digests() == []


def test_a_file_without_end_is_cut_off_at_its_length(world: RegistryWorld) -> None:
    published = world.publish()
    mirror = world.mirror()
    sha256 = published.manifest.files["weights.bin"].sha256
    (mirror / file_path(sha256)).write_bytes(WEIGHTS * 3)
    reader = world.reader(mirror)
    reader.refresh()
    with pytest.raises(RegistryRefused) as refused:
        reader.fetch(TASK, NAME, "1.0", world.store())
    assert refused.value.reason == "endless"
    assert world.store().part(sha256).stat().st_size <= len(WEIGHTS)


def test_a_file_that_ends_too_early_is_unreachable_and_goes_on_the_next_time(world: RegistryWorld) -> None:
    published = world.publish()
    mirror = world.mirror()
    place = mirror / file_path(published.manifest.files["weights.bin"].sha256)
    place.write_bytes(WEIGHTS[:1000])
    reader = world.reader(mirror)
    reader.refresh()
    with pytest.raises(RegistryUnreachable, match="ended after 1000"):
        reader.fetch(TASK, NAME, "1.0", world.store())
    place.write_bytes(WEIGHTS)
    assert reader.fetch(TASK, NAME, "1.0", world.store()).read("weights.bin") == WEIGHTS


def test_a_bundle_under_another_bundles_name_is_refused(world: RegistryWorld) -> None:
    """Who holds a task's key alone cannot pass one bundle off as another."""
    published = world.publish()
    other = world.bundle("6.6", name="fox")
    (published.root / "manifest.json").write_bytes((other.root / "manifest.json").read_bytes())
    import msgspec

    from roost_models.bundle.folder import Bundle

    wrong = Bundle(
        manifest=msgspec.structs.replace(published.manifest, version="2.0"), root=published.root, digest=other.digest
    )
    world.registry.publish(wrong)
    reader = world.reader()
    reader.refresh()
    with pytest.raises(RegistryRefused, match="says that it is fox") as refused:
        reader.fetch(TASK, NAME, "2.0", world.store())
    assert refused.value.reason == "malformed"


def test_more_bytes_than_a_device_allows_are_refused_before_one_is_fetched(world: RegistryWorld) -> None:
    world.publish()
    reader = world.reader(limits=Limits(reserve_bytes=0, bundle_bytes=1000))
    reader.refresh()
    with pytest.raises(RegistryRefused) as refused:
        reader.fetch(TASK, NAME, "1.0", world.store())
    assert refused.value.reason == "endless"


def test_a_fast_forward_by_a_stolen_key_is_recovered_from_by_new_keys(world: RegistryWorld) -> None:
    """1. A stolen timestamp key signs version 2³¹. 2. A device takes it. 3. The key is changed. 4. All is well."""
    from tuf.api.metadata import Metadata, Timestamp

    world.publish()
    mirror = world.mirror()
    path = mirror / "metadata" / "timestamp.json"
    page = Metadata[Timestamp].from_bytes(path.read_bytes())
    page.signed.version = 2**31
    keyids, _ = world.registry.signers("timestamp")
    signer = world.registry.ring.signer(keyids[0])
    assert signer is not None
    page.sign(signer)
    path.write_bytes(page.to_bytes())
    world.reader(mirror).refresh()
    with pytest.raises(RegistryRefused, match="rollback"):
        world.reader().refresh()
    rotation.rotate(world.registry, "timestamp", folder=world.registry.keys)
    reader = world.reader()
    reader.refresh()
    assert reader.versions["timestamp"] < 100
    with pytest.raises(RegistryRefused):
        world.reader(mirror).refresh()  # the thief's copy counts no more


def test_a_signature_less_than_the_threshold_is_refused(tmp_path: Path) -> None:
    from roost_models.registry.setting_up import Quorum

    world = RegistryWorld(tmp_path, rollouts=Quorum(keys=2, threshold=2))
    world.rollout(world.publish())
    mirror = world.mirror()
    path = newest(mirror, "rollouts")
    page = json.loads(path.read_bytes())
    page["signatures"] = page["signatures"][:1]
    path.write_text(json.dumps(page))
    sign_around(world, mirror, "rollouts")  # also the thief of the snapshot's and the timestamp's key
    reader = world.reader(mirror)
    reader.refresh()
    with pytest.raises(RegistryRefused) as refused:
        reader.rollout(TASK, NAME)
    assert refused.value.reason == "signature"


def test_an_older_roll_out_is_a_rollback_whoever_signs_the_snapshot(world: RegistryWorld) -> None:
    bundle = world.publish()
    world.rollout(bundle, 1)
    old = newest(world.registry.public, "rollouts")
    world.rollout(bundle, 2, state="aborted")
    world.reader().refresh()
    mirror = world.mirror()
    newest(mirror, "rollouts").unlink()
    assert newest(mirror, "rollouts").name == old.name
    sign_around(world, mirror, "rollouts")
    with pytest.raises(RegistryRefused) as refused:
        world.reader(mirror).refresh()
    assert refused.value.reason == "rollback"


def sign_around(world: RegistryWorld, mirror: Path, role: str) -> None:
    """A new snapshot and timestamp for a role as it lies in the mirror, signed with the registry's own keys."""
    from tuf.api.metadata import Metadata, MetaFile, Snapshot, Timestamp

    path = newest(mirror, role)
    snapshot = Metadata[Snapshot].from_bytes(newest(mirror, "snapshot").read_bytes())
    snapshot.signed.meta[f"{role}.json"] = MetaFile.from_data(
        int(path.name.split(".")[0]), path.read_bytes(), ["sha256"]
    )
    timestamp = Metadata[Timestamp].from_bytes((mirror / "metadata" / "timestamp.json").read_bytes())
    for page, name in ((snapshot, "snapshot"), (timestamp, "timestamp")):
        signer = world.registry.ring.signer(world.registry.signers(name)[0][0])
        assert signer is not None
        page.signed.version += 1
        if page is timestamp:
            timestamp.signed.snapshot_meta = MetaFile.from_data(
                snapshot.signed.version, snapshot.to_bytes(), ["sha256"]
            )
        page.sign(signer)
    (mirror / "metadata" / f"{snapshot.signed.version}.snapshot.json").write_bytes(snapshot.to_bytes())
    (mirror / "metadata" / "timestamp.json").write_bytes(timestamp.to_bytes())
