"""Cameras as others see them."""

from typing import Any

from roost_broker.clock import VirtualClock
from roost_broker.headers import new_header
from roost_broker.messages import CameraStatus, RoleState
from roost_edge.alerts.cameras import Cameras, LastSeen
from roost_edge.alerts.sightings import Sighting

HEAD = new_header(VirtualClock(), "coop-1", "alerts")


def state(word: Any, session: int = 1, detail: str = "") -> RoleState:
    return RoleState(**HEAD._asdict(), role="capture-nest", state=word, session=session, detail=detail)


def sighting(label: str, camera: str = "nest") -> Sighting:
    return Sighting("a" * 32, "henhouse", camera, label, 0.9, 1, 1, 2, "a" * 32, None, 0, 0)


def status(book: Cameras) -> CameraStatus:
    found = book.status("nest", HEAD)
    assert found is not None
    return found


def test_nothing_is_said_of_a_camera_that_nobody_has_heard_of() -> None:
    assert Cameras(["nest"]).status("nest", HEAD) is None


def test_a_camera_is_online_while_its_process_is_ready() -> None:
    book = Cameras(["nest"])
    assert book.heard("nest", state("ready"))
    assert (status(book).state, status(book).detail) == ("online", "")
    assert not book.heard("nest", state("ready")), "no news"
    for word in ("failed", "gone", "starting", "stopped"):
        book.heard("nest", state(word))
        assert (status(book).state, status(book).detail) == ("offline", f"its process is {word}")
    assert book.heard("nest", state("failed", detail="It hangs."))
    assert status(book).detail == "It hangs."


def test_a_will_that_came_late_ends_nobody() -> None:
    book = Cameras(["nest"])
    book.heard("nest", state("ready", session=2))
    assert not book.heard("nest", state("gone", session=1))
    assert status(book).state == "online"


def test_what_was_seen_last_and_what_goes_on_stands_in_the_status_and_is_remembered() -> None:
    book = Cameras(["nest"])
    book.heard("nest", state("ready"))
    kept = book.seen(sighting("hen"))
    assert book.opened([sighting("hen"), sighting("egg"), sighting("hen", "other")]) == ("nest",)
    assert book.opened([sighting("egg"), sighting("hen")]) == ()
    found = status(book)
    assert (found.label, found.score, found.seen_at, found.open) == ("hen", 0.9, 2, ["egg", "hen"])
    again = Cameras(["nest"])
    again.restore([kept, LastSeen("gone", "henhouse", "fox", 1.0, 1)])
    again.heard("nest", state("ready"))
    assert (status(again).label, status(again).open) == ("hen", [])
