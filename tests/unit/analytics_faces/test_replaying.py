"""A file of rows put through the same watch as a device's streams (promise X9)."""

import msgspec
from faces_samples import START, rows

from roost_rendezvous.analytics.faces.replaying import observations, watched
from roost_rendezvous.analytics.watch.observed import Asked, Decided, Said

SECOND = 10**9


def test_a_row_becomes_what_it_was_made_of_in_the_order_of_time() -> None:
    found = list(observations(rows(3)))
    assert [type(one) for one in found[:4]] == [Asked, Said, Said, Decided]
    assert [one.heard for one in found] == sorted(one.heard for one in found)
    decided = next(one for one in found if isinstance(one, Decided))
    assert (decided.model, decided.cause, decided.sla_ms) == ("champion", "preferred", 2_000)
    assert decided.heard - START == round(decided.elapsed_ms * 1e6)


def test_rows_out_of_order_are_put_in_order() -> None:
    first, second, third = rows(3)
    found = list(observations([second, first, third]))
    assert [one.heard for one in found] == sorted(one.heard for one in found)


def test_refusals_keep_their_reason_and_rows_without_times_give_nothing() -> None:
    refused = [one for one in observations(rows(60)) if isinstance(one, Said) and one.reason]
    assert {one.reason for one in refused} == {"behind"}
    assert list(observations([msgspec.structs.replace(one, at=nth) for nth, one in enumerate(rows(5))])) == []


def test_the_watch_says_how_everything_stands_and_that_an_hour_is_too_short_for_an_alarm() -> None:
    episodes, standing = watched(rows(40))
    assert episodes == ()
    assert any(one.signal == "henhouse/rate/requests" for one in standing)
    assert {one.watch for one in standing} == {"not-enough-history"}
    assert watched([]) == ((), ())
