"""Deliveries held until their result is out."""

from functools import partial

from roost_broker.bus import Delivery
from roost_rendezvous.server.held import HeldDeliveries


def deliver(acked: list[str], name: str) -> Delivery:
    return Delivery(name, b"", _ack=partial(acked.append, name))


def test_nothing_is_acknowledged_before_its_result_is_out() -> None:
    acked: list[str] = []
    held = HeldDeliveries(10)
    held.hold("r1", deliver(acked, "request"))
    held.hold("r1", deliver(acked, "score"))
    assert acked == []
    held.release("r1")
    assert acked == ["request", "score"]
    held.release("r1")
    assert len(held) == 0


def test_beyond_the_bound_the_oldest_request_is_acknowledged_early() -> None:
    acked: list[str] = []
    held = HeldDeliveries(2)
    for name in ("r1", "r2", "r3"):
        held.hold(name, deliver(acked, name))
    assert acked == ["r1"]
    assert "r1" not in held
    assert "r3" in held


def test_after_a_lost_connection_nothing_is_acknowledged() -> None:
    acked: list[str] = []
    held = HeldDeliveries(2)
    held.hold("r1", deliver(acked, "r1"))
    held.forget()
    held.release("r1")
    assert acked == []
    assert len(held) == 0


def test_when_one_session_is_lost_what_the_other_delivered_is_still_acknowledged() -> None:
    acked: list[str] = []
    held = HeldDeliveries(10)
    held.hold("r1", deliver(acked, "request"))
    held.hold("r1", deliver(acked, "score"), "scores")
    held.hold("r2", deliver(acked, "other score"), "scores")
    held.forget("scores")
    assert len(held) == 1
    assert "r2" not in held
    held.release("r1")
    assert acked == ["request"]
    assert len(held) == 0
