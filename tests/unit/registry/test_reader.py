"""What a device gets from a registry: what is signed, once, resumed, and whole or not at all."""

from pathlib import Path

import pytest
from registry_world import NAME, TASK, WEIGHTS, RegistryWorld

from roost_broker.errors import Misuse
from roost_models.bundle.folder import open_folder
from roost_models.bundle.manifest import FileEntry
from roost_models.registry.downloading import Progress
from roost_models.registry.errors import NoRoom, RegistryRefused, RegistryUnreachable, Stopped
from roost_models.registry.layout import file_path
from roost_models.registry.limits import Limits


def entry(world: RegistryWorld, path: str, version: str = "1.0") -> FileEntry:
    return world.bundle(version).manifest.files[path]


def test_a_published_bundle_arrives_with_the_same_digest_and_content(world: RegistryWorld) -> None:
    published = world.publish()
    reader = world.reader()
    reader.refresh()
    fetched = reader.fetch(TASK, NAME, "1.0", world.store())
    assert fetched.digest == published.digest
    assert open_folder(fetched.root).read("weights.bin") == WEIGHTS


def test_a_reader_must_look_before_it_answers(world: RegistryWorld) -> None:
    with pytest.raises(Misuse, match="not looked at"):
        world.reader().rollout(TASK, NAME)


def test_what_nobody_published_is_none_and_not_an_error(world: RegistryWorld) -> None:
    reader = world.reader()
    reader.refresh()
    assert reader.rollout(TASK, NAME) is None
    assert reader.manifest(TASK, NAME, "1.0") is None
    assert reader.rollout("another-task", NAME) is None
    assert reader.candidates(TASK) == reader.candidates("another-task") == []
    with pytest.raises(RegistryRefused, match="not published") as refused:
        reader.fetch(TASK, NAME, "1.0", world.store())
    assert refused.value.reason == "not-published"


def test_candidates_and_roll_outs_are_read_as_they_were_written(world: RegistryWorld) -> None:
    first, second = world.publish("1.0"), world.publish("1.1", head=b"better")
    document = world.rollout(second)
    reader = world.reader()
    reader.refresh()
    assert [(one.name, one.version, one.digest) for one in reader.candidates(TASK)] == [
        (NAME, "1.0", first.digest),
        (NAME, "1.1", second.digest),
    ]
    assert reader.rollout(TASK, NAME) == document


def test_a_new_head_travels_without_the_rest(world: RegistryWorld) -> None:
    world.publish("1.0", head=b"old head")
    world.publish("1.1", head=b"new head!")
    reader, store = world.reader(), world.store()
    reader.refresh()
    reader.fetch(TASK, NAME, "1.0", store)
    told: list[Progress] = []
    reader.fetch(TASK, NAME, "1.1", store, progress=told.append)
    assert told[-1].total == len(b"new head!")
    assert told[-1].held == len(WEIGHTS) + entry(world, "model.py").bytes


def test_two_bundles_share_the_blocks_of_a_file_that_is_in_both(world: RegistryWorld) -> None:
    world.publish("1.0")
    world.publish("1.1", head=b"another")
    reader, store = world.reader(), world.store()
    reader.refresh()
    places = [reader.fetch(TASK, NAME, version, store).root / "weights.bin" for version in ("1.0", "1.1")]
    assert places[0].stat().st_ino == places[1].stat().st_ino


def test_a_file_that_is_elsewhere_on_the_device_is_copied_and_not_downloaded(world: RegistryWorld) -> None:
    published = world.publish()
    wanted = published.manifest.files["weights.bin"]
    (world.registry.public / file_path(wanted.sha256)).unlink()  # so it cannot come from there
    reader, store = world.reader(), world.store()
    reader.refresh()
    elsewhere = published.root / "weights.bin"
    fetched = reader.fetch(TASK, NAME, "1.0", store, have=lambda sha256: elsewhere if sha256 == wanted.sha256 else None)
    elsewhere.write_bytes(b"edited in place")
    assert fetched.read("weights.bin") == WEIGHTS


def test_a_file_elsewhere_that_is_not_what_it_should_be_is_downloaded_after_all(world: RegistryWorld) -> None:
    world.publish()
    wrong = world.folder / "wrong"
    wrong.write_bytes(b"wrong")
    reader = world.reader()
    reader.refresh()
    assert reader.fetch(TASK, NAME, "1.0", world.store(), have=lambda _: wrong).read("weights.bin") == WEIGHTS


def test_a_stopped_download_goes_on_where_it_was_after_a_restart(world: RegistryWorld) -> None:
    world.publish()
    reader = world.reader()
    reader.refresh()
    told: list[Progress] = []
    with pytest.raises(Stopped):
        reader.fetch(
            TASK, NAME, "1.0", world.store(), progress=told.append, stop=lambda: told[-1].done > len(WEIGHTS) // 2
        )
    again = world.reader()
    again.refresh()
    told.clear()
    fetched = again.fetch(TASK, NAME, "1.0", world.store(), progress=told.append)
    assert fetched.read("weights.bin") == WEIGHTS
    assert max(one.resumed for one in told) > len(WEIGHTS) // 2


@pytest.mark.parametrize("remains", [b"\0" * 1000, WEIGHTS[:1000], WEIGHTS, b"\0" * len(WEIGHTS), WEIGHTS + b"more"])
def test_remains_of_a_download_are_believed_only_as_far_as_they_are_right(remains: bytes, world: RegistryWorld) -> None:
    published = world.publish()
    store = world.store()
    store.part(published.manifest.files["weights.bin"].sha256).write_bytes(remains)  # as a power cut may leave it
    reader = world.reader()
    reader.refresh()
    assert reader.fetch(TASK, NAME, "1.0", store).read("weights.bin") == WEIGHTS


def test_a_damaged_bundle_or_file_in_the_store_is_fetched_again(world: RegistryWorld) -> None:
    world.publish()
    reader, store = world.reader(), world.store()
    reader.refresh()
    fetched = reader.fetch(TASK, NAME, "1.0", store)
    (fetched.root / "weights.bin").write_bytes(b"")  # the same file as in the store: both are damaged
    assert store.open(fetched.digest) is None
    assert reader.fetch(TASK, NAME, "1.0", store).read("weights.bin") == WEIGHTS


def test_another_digest_than_the_roll_out_names_is_refused(world: RegistryWorld) -> None:
    world.publish()
    reader = world.reader()
    reader.refresh()
    with pytest.raises(RegistryRefused, match="is wanted") as refused:
        reader.fetch(TASK, NAME, "1.0", world.store(), digest="0" * 64)
    assert refused.value.reason == "altered"


def test_a_bundle_that_would_fill_the_disk_is_not_begun(world: RegistryWorld) -> None:
    world.publish()
    reader = world.reader(limits=Limits(reserve_bytes=10**12))
    reader.refresh()
    with pytest.raises(NoRoom, match="must stay free"):
        reader.fetch(TASK, NAME, "1.0", world.store())


def test_only_the_bundles_named_stay_and_their_files(world: RegistryWorld) -> None:
    world.publish("1.0", head=b"old")
    kept = world.publish("1.1", head=b"new")
    reader, store = world.reader(), world.store()
    reader.refresh()
    for version in ("1.0", "1.1"):
        reader.fetch(TASK, NAME, version, store)
    assert store.keep_only([kept.digest]) == len(b"old")
    assert store.digests() == [kept.digest]
    assert store.open(kept.digest) is not None


def test_a_stick_may_hold_the_registry_in_a_folder_named_public(world: RegistryWorld) -> None:
    reader = world.reader(world.registry.root)
    reader.refresh()
    assert reader.versions["root"] == 1


@pytest.mark.parametrize(
    "location", ["ftp://x/y", "http://", "http://h:99999/", "https://user@host/x", "http://h/?q=1"]
)
def test_an_address_that_is_none_is_misuse(location: str, world: RegistryWorld) -> None:
    with pytest.raises(Misuse):
        world.reader(location)


def test_a_stick_that_is_not_there_is_unreachable(world: RegistryWorld, tmp_path: Path) -> None:
    with pytest.raises(RegistryUnreachable, match="no registry at"):
        world.reader(tmp_path / "unplugged").refresh()
