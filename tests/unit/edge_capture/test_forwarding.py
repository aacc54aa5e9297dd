"""The core that asks again until the gateway has it: a broker may die between the decoy and the gateway."""

from roost_broker.clock import SECOND
from roost_edge.capture.forwarding import Done, Forwarding
from roost_edge.capture.redelivery import Publish
from roost_edge.capture.settings import CaptureSettings

SETTINGS = CaptureSettings(republish_after_ms=1000, republish_max_ms=4000, republish_at_once=2, max_unforwarded=3)


def behind(*names: str) -> Forwarding:
    core = Forwarding(SETTINGS, expected=True)
    for name in names:
        core.accepted(name)
        assert core.closed(name, 1, 0) == ()
    return core


def test_without_a_gateway_a_closed_request_is_done() -> None:
    core = Forwarding(SETTINGS, expected=False)
    core.accepted("a")
    assert core.closed("a", 1, 0) == (Done("a"),)
    assert core.gateway_ready(9 * SECOND) == ()


def test_with_the_gateways_receipt_before_it_is_closed_it_is_done() -> None:
    core = Forwarding(SETTINGS, expected=True)
    core.accepted("a")
    assert core.receipt("a") == ()
    assert core.closed("a", 1, 0) == (Done("a"),)


def test_what_the_gateway_has_not_told_of_is_asked_again_when_it_is_ready() -> None:
    core = behind("a")
    assert core.gateway_ready(SECOND - 1) == ()  # it may just be gathering
    assert core.gateway_ready(SECOND) == (Publish("a", 2),)
    assert core.gateway_ready(10 * SECOND) == ()  # still on its way
    assert core.ended("a", 10 * SECOND) == (Publish("a", 3),)
    assert core.ended("a", 10 * SECOND) == ()  # once for each time that it says so
    assert core.receipt("a") == (Done("a"),)
    assert core.receipt("a") == ()
    assert len(core) == 0


def test_while_the_gateway_says_nothing_nothing_is_asked() -> None:
    core = behind("a", "b", "c")
    assert core.ended("a", 3600 * SECOND) == ()
    assert len(core) == 3


def test_few_are_on_their_way_at_a_time_and_the_others_follow() -> None:
    core = behind("a", "b", "c")
    assert core.gateway_ready(5 * SECOND) == (Publish("a", 2), Publish("b", 2))
    assert core.ended("a", 5 * SECOND) == (Publish("c", 2),)
    assert core.ended("b", 5 * SECOND) == ()


def test_beyond_the_bound_the_oldest_is_given_up() -> None:
    core = behind("a", "b", "c")
    core.accepted("d")
    assert core.closed("d", 1, 0) == (Done("a", given_up=True),)
    assert len(core) == 3
