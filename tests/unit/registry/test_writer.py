"""What the centre may put into a registry, and that it is there afterwards as it was."""

import os
import stat
import threading
from pathlib import Path

import msgspec
import pytest
from registry_world import NAME, TASK, RegistryWorld

from roost_broker.errors import Malformed, Misuse
from roost_models.assessment.report import Assessment, Period, Rule
from roost_models.assessment.report import parse as parse_report
from roost_models.assessment.report import render as render_report
from roost_models.bundle.folder import Bundle
from roost_models.registry import publishing
from roost_models.registry.errors import AlreadyPublished, KeysMissing
from roost_models.registry.exporting import export
from roost_models.registry.refreshing import refresh
from roost_models.registry.setting_up import Plan
from roost_models.registry.status import status_of
from roost_models.rollout.document import BundleRef
from roost_models.rollout.lifecycle_log import LifecycleLog


def served(world: RegistryWorld) -> dict[str, bytes]:
    public = world.registry.public
    return {str(path.relative_to(public)): path.read_bytes() for path in public.rglob("*") if path.is_file()}


def test_publishing_the_same_bundle_again_changes_nothing(world: RegistryWorld) -> None:
    bundle = world.publish()
    before = served(world)
    assert not world.registry.publish(bundle).new
    assert served(world) == before


def test_another_content_under_a_published_version_is_refused_and_changes_nothing(world: RegistryWorld) -> None:
    world.publish()
    before = served(world)
    with pytest.raises(AlreadyPublished, match="another content"):
        world.registry.publish(world.bundle("1.0", head=b"other"))
    assert served(world) == before


def test_the_keys_of_root_and_targets_are_on_the_stick_alone_and_nobody_else_may_read_a_key(
    world: RegistryWorld,
) -> None:
    online = {path.name.rpartition("-")[0] for path in world.registry.keys.iterdir()}
    stick = {path.name.rpartition("-")[0] for path in world.stick.iterdir()}
    assert (online, stick) == ({f"task-{TASK}", "rollouts", "snapshot", "timestamp"}, {"root", "targets"})
    keys = [*world.registry.keys.iterdir(), *world.stick.iterdir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}
    assert not any("PRIVATE" in data.decode(errors="replace") for data in served(world).values())


def test_encrypted_keys_open_with_their_passphrase_only(tmp_path: Path) -> None:
    world = RegistryWorld(tmp_path)
    from roost_models.registry.writer import Registry

    place = tmp_path / "secret"
    Registry(place, passphrase=lambda _: b"correct").init(Plan(root_keys=tmp_path / "vault"))
    for phrase, complaint in ((None, "needs a passphrase"), (b"wrong", "wrong passphrase")):
        closed = Registry(place, folders=[tmp_path / "vault"], passphrase=lambda _, phrase=phrase: phrase)
        with pytest.raises(Misuse, match=complaint):
            refresh(closed, force=True)
    assert refresh(Registry(place, folders=[tmp_path / "vault"], passphrase=lambda _: b"correct"), force=True)
    assert world.registry.files.exists()


def test_a_registry_is_not_set_up_twice(world: RegistryWorld) -> None:
    with pytest.raises(Misuse, match="a registry at"):
        world.registry.init(Plan(root_keys=world.stick))


def test_the_keys_of_root_are_not_made_among_the_online_ones(tmp_path: Path) -> None:
    from roost_models.registry.writer import Registry

    registry = Registry(tmp_path / "registry")
    with pytest.raises(Misuse, match="cannot lie with the online ones"):
        registry.init(Plan(root_keys=registry.keys))


def test_a_new_task_takes_the_keys_of_targets(world: RegistryWorld) -> None:
    bundle = world.bundle("1.0", task="barn", name="owl")
    with pytest.raises(KeysMissing, match="targets needs"):
        world.open().publish(bundle)
    assert not list(world.registry.keys.glob("task-barn-*"))
    world.open(world.stick).publish(bundle)
    reader = world.reader()
    reader.refresh()
    assert [one.name for one in reader.candidates("barn")] == ["owl"]


def test_a_roll_out_of_what_is_not_published_is_refused(world: RegistryWorld) -> None:
    with pytest.raises(Misuse, match="is not published"):
        world.rollout(world.bundle())


def test_a_roll_out_document_never_goes_back_a_generation(world: RegistryWorld) -> None:
    bundle = world.publish()
    second = world.rollout(bundle, 2)
    assert not world.registry.set_rollout(second)  # exactly this one again is nothing
    with pytest.raises(Misuse, match="does not follow"):
        world.rollout(bundle, 2, shadow=0.2)
    with pytest.raises(Misuse, match="does not follow"):
        world.rollout(bundle, 1)


def test_superseded_documents_and_metadata_do_not_pile_up_and_roots_stay(world: RegistryWorld) -> None:
    bundle = world.publish()
    for generation in range(1, 60):
        world.rollout(bundle, generation)
    names = list(served(world))
    assert sum("snapshot" in name for name in names) <= 21
    assert sum(name.startswith("targets/rollouts") for name in names) <= 21
    assert "metadata/1.root.json" in names
    world.reader().refresh()


def test_refreshing_signs_what_is_due_and_nothing_else(world: RegistryWorld) -> None:
    assert refresh(world.open()) == []
    world.pass_days(4)
    assert refresh(world.open()) == ["snapshot", "timestamp"]
    world.pass_days(15)
    assert refresh(world.open()) == ["rollouts", "snapshot", "timestamp"]
    world.pass_days(200)
    assert "root" not in refresh(world.open())
    assert refresh(world.open(world.stick)) == ["root", "targets", "snapshot", "timestamp"]
    world.reader().refresh()


def test_the_status_says_what_must_be_seen_to(world: RegistryWorld) -> None:
    world.rollout(world.publish())
    assert status_of(world.open()).problems == []
    world.pass_days(6)
    assert any("timestamp ends in 1 days" in text for text in status_of(world.open()).problems)
    world.pass_days(2)
    found = status_of(world.open()).problems
    assert any("timestamp ended" in text for text in found)
    next(world.registry.keys.glob("timestamp-*")).chmod(0o644)
    assert any("chmod 600" in text for text in status_of(world.open()).problems)


def test_two_writers_at_once_do_not_lose_each_others_bundles(world: RegistryWorld) -> None:
    bundles = [world.bundle(f"1.{number}", head=bytes([number])) for number in range(8)]
    threads = [threading.Thread(target=world.open().publish, args=(bundle,)) for bundle in bundles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(world.registry.bundles()) == 8


def test_a_stick_holds_what_is_in_force_and_is_brought_up_to_date(world: RegistryWorld, tmp_path: Path) -> None:
    world.publish("1.0")
    stick = tmp_path / "usb"
    first = export(world.registry, stick)
    assert export(world.registry, stick).copied == 0
    world.publish("1.1", head=b"new")
    assert 0 < export(world.registry, stick).copied < first.copied
    reader = world.reader(stick)
    reader.refresh()
    assert reader.fetch(TASK, NAME, "1.1", world.store()).manifest.version == "1.1"


def test_a_stick_for_one_task_leaves_the_bundles_of_others_out(world: RegistryWorld, tmp_path: Path) -> None:
    world.publish()
    export(world.registry, tmp_path / "usb", tasks=["barn"])
    assert not list((tmp_path / "usb" / "targets").rglob("*.bundle.json"))
    world.reader(tmp_path / "usb").refresh()


def test_nothing_is_exported_into_the_registry_itself(world: RegistryWorld) -> None:
    with pytest.raises(Misuse, match="in the registry itself"):
        export(world.registry, world.registry.public)


def test_equal_bundles_of_two_machines_are_published_as_equal_bytes(tmp_path: Path) -> None:
    worlds = [RegistryWorld(tmp_path / name) for name in ("one", "two")]
    for world in worlds:
        world.publish()
        os.utime(world.registry.public / "metadata", (0, 0))
    names = [{name for name in served(world) if name.startswith("targets/")} for world in worlds]
    assert names[0] == names[1]
    assert all(served(worlds[0])[name] == served(worlds[1])[name] for name in names[0])


def report_of(bundle: Bundle, *, accepted: bool, digest: str = "") -> bytes:
    return render_report(
        Assessment(
            accepted=accepted,
            task=bundle.manifest.task,
            candidate=BundleRef(
                name=bundle.manifest.name, version=bundle.manifest.version, digest=digest or bundle.digest
            ),
            made_at_ms=0,
            period=Period(archive="x"),
            rules=[] if accepted else [Rule(name="latency", outcome="fail", sentence="It is 3 times slower")],
        )
    )


def publish(world: RegistryWorld, bundle: Bundle, report: bytes | None, why: str = "") -> LifecycleLog:
    log = LifecycleLog(world.folder / "lifecycle.jsonl")
    path = world.folder / "report.json"
    if report is not None:
        path.write_bytes(report)
    publishing.publish(
        world.registry, log, bundle, report=path if report else None, without_evaluation=why, author="ann"
    )
    return log


def test_an_accepted_report_of_this_bundle_lets_it_in_and_into_preproduction(world: RegistryWorld) -> None:
    bundle = world.bundle()
    log = publish(world, bundle, report_of(bundle, accepted=True))
    assert log.phase(bundle.digest) == "preproduction"
    assert publish(world, bundle, report_of(bundle, accepted=True)).phase(bundle.digest) == "preproduction"
    assert len(world.registry.bundles()) == 1


def test_a_reason_does_instead_of_a_report_and_is_kept(world: RegistryWorld) -> None:
    bundle = world.bundle()
    log = publish(world, bundle, None, "the very first one")
    assert "the very first one" in str(log.entries())
    assert status_of(world.registry).bundles[0].evidence["withoutEvaluation"] == "the very first one"


REPORTS = {
    "none": (None, "comes without a report"),
    "one that refuses": ({"accepted": False}, "3 times slower"),
    "one of another bundle": ({"accepted": True, "digest": "0" * 64}, "The report is about"),
}


@pytest.mark.parametrize("name", REPORTS)
def test_publishing_with_a_report_that_does_not_do(name: str, world: RegistryWorld) -> None:
    fields, complaint = REPORTS[name]
    bundle = world.bundle()
    with pytest.raises(publishing.NotAccepted, match=complaint):
        publish(world, bundle, None if fields is None else report_of(bundle, **fields))
    assert world.registry.bundles() == []


def test_what_to_do_about_a_refusal_depends_on_whether_the_bundle_or_the_data_was_wanting(world: RegistryWorld) -> None:
    bundle = world.bundle()

    def refusal(*rules: Rule) -> publishing.NotAccepted:
        report = msgspec.structs.replace(parse_report(report_of(bundle, accepted=False)), rules=list(rules))
        with pytest.raises(publishing.NotAccepted) as caught:
            publish(world, bundle, render_report(report))
        return caught.value

    few = Rule(name="min_labelled", outcome="not-enough-data", sentence="labelled requests", measured=1, limit=30)
    slow = Rule(name="max_latency_ratio", outcome="fail", sentence="p50 to the champion's", measured=3, limit=1.5)
    assert "min_labelled (labelled requests): 1, the limit is 30" in refusal(few).problem
    assert "label more pictures" in refusal(few).remedy
    assert refusal(few, slow).remedy.startswith("Train a better one")


def test_a_report_that_is_none_is_malformed(world: RegistryWorld) -> None:
    with pytest.raises(Malformed):
        publish(world, world.bundle(), b"{}")
