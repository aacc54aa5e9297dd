"""The shell around the controller: what is kept before what, and what happens when a step of it fails."""

from contextlib import suppress
from pathlib import Path

import pytest
from msgspec import structs
from story import NEW, NODES, OLD, planned, report

from roost_broker.centre import credible
from roost_broker.centre.envelope import headers_of
from roost_broker.clock import SECOND, VirtualClock
from roost_broker.errors import Misuse, PeerError
from roost_broker.headers import new_header
from roost_broker.messages import OtaState, decode, encode
from roost_models.rollout import marker_events
from roost_models.rollout.actions import Action, Command
from roost_models.rollout.conducting import Conducting
from roost_models.rollout.document import Rollout
from roost_models.rollout.keeping import Busy, RolloutBook
from roost_models.rollout.lifecycle_log import LifecycleLog


class Shelf:
    """Documents in memory; `broken` refuses them."""

    def __init__(self) -> None:
        self.published: list[Rollout] = []
        self.broken = False

    def rollout(self, task: str, name: str) -> Rollout | None:
        found = [one for one in self.published if (one.task, one.bundle.name) == (task, name)]
        return found[-1] if found else None

    def set_rollout(self, document: Rollout) -> None:
        if self.broken:
            raise PeerError("The disk is full.")
        self.published.append(document)


class World:
    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock()
        self.book = RolloutBook(folder / "rollouts")
        self.shelf = Shelf()
        self.lifecycle = LifecycleLog(folder / "lifecycle.jsonl")
        self.said: list[str] = []

    def conducting(self) -> Conducting:
        progress = self.book.load("breeds-2") if self.book.ids() else planned()
        return Conducting(progress, self.book, self.shelf, self.lifecycle, self.clock, say=self.said.append)

    def ota(self, node: str, **fields: object) -> bytes:
        head = new_header(self.clock, node, "ota")
        line = report(node).line
        assert line is not None
        return encode(
            OtaState(
                timestamp=head.timestamp,
                message_id=head.message_id,
                node=node,
                version="0",
                lines=[line],
                **fields,  # type: ignore[arg-type]  # as given
            )
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_what_could_not_be_published_is_published_later_and_nothing_overtakes_it(world: World) -> None:
    work = world.conducting()
    world.shelf.broken = True
    work.order(Command("start", "ann"))
    assert work.undone
    assert world.book.load("breeds-2").state == "running"
    assert world.book.markers("breeds-2") == []
    assert not work.to_nudge
    world.shelf.broken = False
    work.tick()
    assert [document.generation for document in world.shelf.published] == [1]
    assert [marker.kind for marker in world.book.markers("breeds-2")] == ["rollout-step"]
    assert work.to_nudge


def test_killed_between_keeping_and_publishing_the_next_one_publishes(world: World) -> None:
    world.shelf.broken = True
    world.conducting().order(Command("start", "ann"))  # and it is killed here
    world.shelf.broken = False
    after = world.conducting()
    after.resume()
    assert [document.state for document in world.shelf.published] == ["running"]
    assert after.controller.progress.generation == world.shelf.published[-1].generation


def test_a_life_cycle_that_refuses_does_not_stop_the_roll_out(world: World) -> None:
    world.lifecycle.publish("nest", NEW, author="ann", at_ms=1, report="c" * 64)
    world.lifecycle.move("nest", NEW, "retirement", author="ann", at_ms=2)
    work = world.conducting()
    work.order(Command("start", "ann"))
    work.order(Command("abort", "ann", "no"))
    assert not work.undone
    assert world.shelf.published[-1].state == "aborted"


def test_a_halt_in_shadow_is_noted_in_the_life_cycle_and_moves_nothing(world: World) -> None:
    world.lifecycle.publish("nest", NEW, author="ann", at_ms=1, report="c" * 64)
    work = world.conducting()
    work.order(Command("start", "ann"))
    work.order(Command("abort", "bob", "too noisy"))
    entry = world.lifecycle.entries()[-1]
    assert (entry.phase, entry.before, entry.author) == ("preproduction", "preproduction", "bob")
    assert entry.evidence == {"rollout": "breeds-2", "event": "over"}
    assert "too noisy" in entry.why


def test_a_report_in_anothers_name_and_bytes_that_are_none_are_counted_and_left_out(world: World) -> None:
    work = world.conducting()
    work.order(Command("start", "ann"))
    work.report(world.ota("coop-1"), "coop-2")
    work.report(b"{", "coop-1")
    work.report(b"x" * 200_000, "coop-1")
    assert work.ignored == {"for-another": 1, "malformed": 2}
    assert len(work.controller.fleet) == 0
    work.report(world.ota("coop-1"), "coop-1")
    assert len(work.controller.fleet) == 1


def test_orders_that_others_left_are_taken_once_and_those_that_cannot_be_are_said(world: World) -> None:
    work = world.conducting()
    work.order(Command("start", "ann"))
    world.book.ask("breeds-2", Command("resume", "bob"), 1)
    world.book.ask("breeds-2", Command("pause", "bob", "lunch"), 2)
    (world.book._folder / "breeds-2" / "orders" / "0.json").write_bytes(b"nonsense")
    work.tick()
    assert work.controller.progress.state == "paused"
    assert any("cannot resume" in text for text in world.said)
    assert world.book.orders("breeds-2") == []


def test_two_cannot_watch_the_same_roll_out(world: World) -> None:
    with world.book.locked("breeds-2"), pytest.raises(Busy), world.book.locked("breeds-2"):
        pass


@pytest.mark.parametrize("name", ["../elsewhere", "", "a/b", ".hidden"])
def test_an_id_that_is_no_folder_name_is_refused(world: World, name: str) -> None:
    with pytest.raises(Misuse):
        world.book.load(name)


def test_half_a_marker_that_a_power_cut_left_hides_no_other(world: World) -> None:
    work = world.conducting()
    work.order(Command("start", "ann"))
    path = world.book._folder / "breeds-2" / "markers.jsonl"
    path.write_bytes(path.read_bytes() + b'{"at_ms": 1, "roll')
    assert [marker.kind for marker in world.book.markers("breeds-2")] == ["rollout-step"]


def test_progress_survives_as_it_was_kept(world: World) -> None:
    work = world.conducting()
    work.order(Command("start", "ann"))
    world.clock.advance(90 * SECOND)
    work.order(Command("pause", "ann"))
    after = world.conducting().controller.progress
    assert after == work.controller.progress
    assert after.order.previous == OLD
    assert len(NODES) == after.order.plan.devices


def phases(world: World, digest: str) -> list[tuple[str | None, str]]:
    """Every move of a bundle, without those of publishing."""
    entries = [entry for entry in world.lifecycle.entries() if entry.bundle.digest == digest]
    return [(entry.before, entry.phase) for entry in entries if "rollout" in entry.evidence]


class Killed(BaseException):
    """Nothing of ours catches it."""


class Dying(Conducting):
    """Killed before so many of its actions."""

    left = 0

    def _act(self, action: Action) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1
        super()._act(action)


@pytest.mark.parametrize("left", range(12))
def test_killed_at_any_action_of_a_step_that_serves_and_of_the_end_each_marker_and_move_comes_once(
    world: World, left: int
) -> None:
    world.lifecycle.publish("nest", OLD, author="ann", at_ms=1, report="d" * 64)
    world.lifecycle.move("nest", OLD, "production", author="ann", at_ms=2)
    world.lifecycle.publish("nest", NEW, author="ann", at_ms=3, report="c" * 64)
    plan = planned().order.plan
    short = structs.replace(plan, steps=tuple(step for step in plan.steps if step.served)[-1:])
    world.book.save(structs.replace(planned(), order=structs.replace(planned().order, plan=short)))

    def told(work: Conducting) -> None:
        if work.controller.progress.state == "planned":
            work.order(Command("start", "ann"))
        if work.controller.progress.state == "running":  # the gates have passed
            work._do(work.controller._next())

    dying = Dying(
        world.book.load("breeds-2"), world.book, world.shelf, world.lifecycle, world.clock, say=world.said.append
    )
    dying.left = left
    with suppress(Killed):
        told(dying)
    for _ in range(2):  # the second one finds nothing to do
        after = world.conducting()
        after.resume()
        told(after)
    assert [marker.kind for marker in world.book.markers("breeds-2")] == ["rollout-step", "rollout-complete"]
    assert phases(world, NEW.digest) == [("preproduction", "production")]
    assert phases(world, OLD.digest) == [("production", "post-production")]
    generations = [document.generation for document in world.shelf.published]
    assert generations == sorted(set(generations))
    assert world.shelf.published[-1].state == "complete"


def test_an_abort_that_was_cut_short_is_noted_once_however_often_somebody_goes_on(world: World) -> None:
    world.lifecycle.publish("nest", NEW, author="ann", at_ms=1, report="c" * 64)
    work = world.conducting()
    work.order(Command("start", "ann"))
    world.shelf.broken = True
    work.order(Command("abort", "bob", "too noisy"))  # and it is killed here
    world.shelf.broken = False
    for _ in range(3):
        world.conducting().resume()
    assert phases(world, NEW.digest) == [("preproduction", "preproduction")]
    assert [marker.kind for marker in world.book.markers("breeds-2")] == ["rollout-step", "rollout-aborted"]
    assert [document.state for document in world.shelf.published] == ["running", "aborted"]


def test_a_report_that_is_played_again_later_is_named_and_ignored_also_after_a_restart(world: World) -> None:
    work = world.conducting()
    work.order(Command("start", "ann"))
    old = world.ota("coop-1")
    work.report(old, "coop-1")
    world.clock.advance(300 * SECOND)
    work.report(world.ota("coop-1"), "coop-1")
    work.report(old, "coop-1")
    assert work.ignored == {"duplicate": 1}
    work.order(Command("pause", "ann"))
    after = world.conducting()
    after.report(old, "coop-1")  # this one has never heard it
    assert after.ignored == {"replayed": 1}
    assert len(after.controller.fleet) == 0
    world.clock.advance(300 * SECOND)
    after.report(world.ota("coop-1"), "coop-1")
    assert len(after.controller.fleet) == 1


def test_a_marker_after_half_a_marker_is_not_lost_with_it(world: World) -> None:
    work = world.conducting()
    work.order(Command("start", "ann"))
    path = world.book._folder / "breeds-2" / "markers.jsonl"
    path.write_bytes(path.read_bytes() + b'{"at_ms": 1, "roll')
    work.order(Command("pause", "ann"))
    assert [marker.kind for marker in world.book.markers("breeds-2")] == ["rollout-step", "rollout-paused"]


def test_markers_are_told_once_each_in_order_and_one_that_was_not_taken_is_told_again(world: World) -> None:
    work = world.conducting()
    work.order(Command("start", "ann"))
    work.order(Command("pause", "ann"))
    (first, marker), (second, _) = work.untold()
    assert (first, second, marker.kind) == (1, 2, "rollout-step")
    work.was_told(1)
    assert [place for place, _ in world.conducting().untold()] == [2]
    event = marker_events.event_of(marker)
    assert decode(encode(event)) == event
    assert event.data["shadow"] == marker.shadow
    sent = marker_events.envelope_of(1, marker)
    assert credible.read("up.extras.roost.centre.event", headers_of(sent), sent.payload).key == sent.key
