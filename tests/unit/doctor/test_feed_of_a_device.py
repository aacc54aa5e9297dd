from pathlib import Path
from typing import Any

from msgspec import structs
from patients import helps, patient

from roost_broker.clock import VirtualClock, boot_id
from roost_broker.headers import new_header
from roost_broker.messages import RoleState
from roost_edge.doctor.broker_look import Look
from roost_edge.doctor.feed import feed
from roost_edge.doctor.findings import Verdict
from roost_edge.feed import keys
from roost_edge.feed.keys import Keys
from roost_edge.feed.places import places
from roost_edge.feed.practise.world import PRACTISE_KEYS
from roost_edge.feed.rows import Changes, Draft
from roost_edge.feed.store import Store

CLOCK = VirtualClock()
HEAD: dict[str, Any] = new_header(CLOCK, "coop-1", "test")._asdict()


def state(said: str = "ready", **counts: int) -> Look:
    one = RoleState(**{**HEAD, "role": "feed", "state": said, "session": 1, "detail": "why", "counts": counts})
    return Look(roles={"feed": one})


class Device:
    """A device with a feed, its keys and its store."""

    def __init__(self, folder: Path, section: str = "") -> None:
        folder.chmod(0o700)
        self.folder = folder
        self.section = f'[feed]\nkeys = "keys.toml"\n{section}'
        keys.save(folder / "keys.toml", Keys(**{name: getattr(PRACTISE_KEYS, name) for name in keys.NAMES}))

    def judged(self, look: Look | None = None, section: str | None = None) -> Verdict:
        section = self.section if section is None else section
        return feed(patient(self.folder, sections=section, looked=look or state(posted=3), clock=CLOCK))

    def store(self, *drafts: Draft) -> Store:
        where = places(patient(self.folder, sections=self.section).settings)
        store = Store(where.store, CLOCK, boot=boot_id())
        store.commit(Changes(list(drafts)), max_waiting=40)
        return store


def draft(request: int) -> Draft:
    number = f"{request:032x}"
    return Draft(number, number, 0, "nest", "box", "jay", "Jay.", "alt", b"picture", "f" * 64, 1)


def test_a_feed_with_keys_and_nothing_in_its_way_is_well(tmp_path: Path) -> None:
    found = Device(tmp_path).judged()
    assert (found.status, found.facts["mode"], found.facts["posted"]) == ("ok", "service", 3)
    assert "3 posts since it began" in found.found


def test_a_dry_run_that_is_wanted_is_no_fault_and_one_for_want_of_keys_is_said(tmp_path: Path) -> None:
    device = Device(tmp_path)
    assert "Dry run" in device.judged(section="[feed]").found
    assert helps(device.judged(section='[feed]\nkeys = "other.toml"'), "warn", "no keys in", "roost feed keys")


def test_keys_that_others_may_read_fail_with_what_to_do(tmp_path: Path) -> None:
    device = Device(tmp_path)
    (tmp_path / "keys.toml").chmod(0o644)
    assert helps(device.judged(), "fail", "others may use it", "chmod 600")


def test_a_feed_that_does_not_run_fails(tmp_path: Path) -> None:
    device = Device(tmp_path)
    assert helps(device.judged(state("gone")), "fail", "The feed is gone", "feed's log")
    assert helps(device.judged(Look()), "fail", "has said nothing yet", "Start the device")


def test_keys_that_the_service_refused_fail(tmp_path: Path) -> None:
    device = Device(tmp_path)
    store = device.store(draft(1))
    store.pause(10**12, "keys: 401 Unauthorized", 1)
    store.close()
    assert helps(device.judged(), "fail", "refuses the keys", "roost feed keys")


def test_a_service_that_fails_again_and_again_is_a_warning(tmp_path: Path) -> None:
    device = Device(tmp_path)
    store = device.store(draft(1))
    store.pause(10**12, "service-down: 503", 3)
    store.close()
    assert helps(device.judged(), "warn", "3 attempts failed in a row", "roost feed post --now")


def test_a_budget_that_is_spent_while_posts_wait_is_a_warning(tmp_path: Path) -> None:
    device = Device(tmp_path, "per_day = 1\n")
    store = device.store(draft(1), draft(2))
    store.posted(1, store.attempt(1, paid=True), mode="service", service_id="1", said_ms=None)
    store.close()
    found = device.judged()
    assert helps(found, "warn", "The budget is spent, and 1 posts wait", "feed.per_day")
    assert found.facts["leftToday"] == 0


def test_posts_that_were_refused_for_good_are_a_warning(tmp_path: Path) -> None:
    assert helps(Device(tmp_path).judged(state(rejected=2)), "warn", "refused 2 posts", "roost feed queue --all")


def test_a_store_that_is_no_database_fails(tmp_path: Path) -> None:
    device = Device(tmp_path)
    where = places(patient(tmp_path, sections=device.section).settings).store
    where.parent.mkdir(parents=True)
    where.write_bytes(b"no database, " * 99)
    assert helps(device.judged(), "fail", "cannot be used", "Move the file away")


def test_the_units_credential_has_a_value_for_the_time_before_there_are_keys(tmp_path: Path) -> None:
    from roost_edge.processes.plan import RoleProcess
    from roost_edge.units.planned import drop_in

    settings = patient(tmp_path, sections='[feed]\nkeys = "keys.toml"').settings
    lines = drop_in(settings, RoleProcess("feed")).splitlines()
    assert f"LoadCredential=feed:{tmp_path}/keys.toml" in lines
    assert "SetCredential=feed:" in lines
    assert settings.feed is not None
    without = structs.replace(settings, feed=structs.replace(settings.feed, keys=""))
    assert "Credential=feed" not in drop_in(without, RoleProcess("feed"))
