from typing import Any

import msgspec
import pytest

from roost_broker.clock import MS, SECOND
from roost_broker.errors import Malformed, Misuse
from roost_rendezvous.injector import snapshot
from roost_rendezvous.injector.keeper import REMEMBERED, StateKeeper
from roost_rendezvous.injector.settings import MAX_VALUES, StateValue


def keeper(**fields: Any) -> StateKeeper:
    return StateKeeper({"door": StateValue(topic="a/door", **fields)})


def taken(kept: StateKeeper, now: int, request_id: str = "") -> tuple[dict[str, Any], dict[str, int]]:
    given = kept.take(request_id or f"at {now}", now, 0)
    return {name: msgspec.json.decode(value) for name, value in given.state.items()}, given.ages


def test_a_value_is_given_with_its_age() -> None:
    kept = keeper()
    assert taken(kept, 0) == ({}, {})
    kept.put("door", b"open", SECOND)
    assert taken(kept, SECOND + 250 * MS) == ({"door": "open"}, {"door": 250})
    kept.put("door", b"closed", 2 * SECOND, age_ns=10 * SECOND)
    assert taken(kept, 3 * SECOND) == ({"door": "closed"}, {"door": 11_000})


@pytest.mark.parametrize(
    ("rule", "stale", "never_came"),
    [
        ({"when_stale": "drop"}, ({}, {}), ({}, {})),
        ({"when_stale": "keep"}, ({"door": "open"}, {"door": 10_000}), ({}, {})),
        ({"when_stale": "default", "default": "unknown"}, ({"door": "unknown"}, {}), ({"door": "unknown"}, {})),
    ],
)
def test_a_stale_value_is_dropped_kept_or_replaced_by_the_default(
    rule: dict[str, Any], stale: object, never_came: object
) -> None:
    kept = keeper(stale_after_s=10, **rule)
    assert taken(kept, 0) == never_came
    kept.put("door", b"open", 0)
    assert taken(kept, 10 * SECOND - 1) == ({"door": "open"}, {"door": 9_999})
    assert taken(kept, 10 * SECOND) == stale
    assert taken(kept, 10 * SECOND + 1)[0] == stale[0]  # type: ignore[index]  # a pair
    assert kept.counts["state-stale"] == 1
    kept.put("door", b"shut", 11 * SECOND)
    assert taken(kept, 11 * SECOND) == ({"door": "shut"}, {"door": 0})
    taken(kept, 60 * SECOND)
    assert kept.counts["state-stale"] == 2


def test_a_reading_that_fails_leaves_the_value_before_it_and_is_counted_with_the_reason() -> None:
    kept = keeper(type="number", stale_after_s=60)
    kept.put("door", b"1", 0)
    assert "no number" in kept.put("door", b"ajar", SECOND)
    assert taken(kept, 2 * SECOND) == ({"door": 1}, {"door": 2000})
    assert kept.counts["state-unreadable"] == 1
    [look] = kept.look(2 * SECOND)
    assert (look.condition, look.given, look.age_ms) == ("fresh", b"1", 2000)
    assert "ajar" in look.problem
    kept.put("door", b"2", 3 * SECOND)
    assert kept.look(3 * SECOND)[0].problem == ""


def test_a_request_asked_again_is_given_what_it_was_given_before() -> None:
    kept = keeper()
    kept.put("door", b"open", 0)
    first = kept.take("r", SECOND, 1000)
    kept.put("door", b"closed", 2 * SECOND)
    assert kept.take("r", 3 * SECOND, 3000) is first
    assert kept.counts["state-again"] == 1
    for number in range(REMEMBERED):
        kept.take(str(number), 3 * SECOND, 3000)
    assert taken(kept, 4 * SECOND, "r")[0] == {"door": "closed"}, "no more than so many are remembered"


def test_computed_values_are_renewed_once_a_second() -> None:
    kept = StateKeeper({"hour": StateValue(computed="hour")})
    kept.compute(0, 0, 0)
    kept.compute(999 * MS, 3600, 999 * MS)
    assert taken(kept, 999 * MS) == ({"hour": 0}, {"hour": 999})
    kept.compute(SECOND, 3600, SECOND)
    assert taken(kept, SECOND) == ({"hour": 1}, {"hour": 0})


def test_names_that_cannot_be_and_too_many_values_are_refused() -> None:
    with pytest.raises(Misuse, match="state value"):
        StateKeeper({"a b": StateValue(topic="t")})
    with pytest.raises(Misuse, match="too many"):
        StateKeeper({f"v{number}": StateValue(topic="t") for number in range(MAX_VALUES + 1)})


def test_a_snapshot_carries_values_with_their_age_and_what_requests_were_given() -> None:
    old, new = keeper(), keeper()
    old.put("door", b"open", SECOND)
    before = old.take("r", 2 * SECOND, 2000)
    old.put("door", b"closed", 3 * SECOND)
    snapshot.restore(snapshot.write(old, "boot"), new, "boot")
    assert taken(new, 4 * SECOND) == ({"door": "closed"}, {"door": 1000})
    again = new.take("r", 4 * SECOND, 4000)
    assert ({name: bytes(value) for name, value in again.state.items()}, again.ages, again.at_ms) == (
        {name: bytes(value) for name, value in before.state.items()},
        before.ages,
        2000,
    )


def test_what_the_successor_heard_itself_later_stays() -> None:
    old, new = keeper(), keeper()
    old.put("door", b"open", SECOND)
    new.put("door", b"closed", 2 * SECOND)
    snapshot.restore(snapshot.write(old, "boot"), new, "boot")
    assert taken(new, 2 * SECOND)[0] == {"door": "closed"}


@pytest.mark.parametrize("data", [b"", b"{}", b'{"schema":"roost.injector-snapshot/1","boot":1}', b"[" * 5000])
def test_a_snapshot_that_cannot_be_read_or_is_of_another_boot_changes_nothing(data: bytes) -> None:
    old, new = keeper(), keeper()
    old.put("door", b"open", SECOND)
    with pytest.raises(Malformed):
        snapshot.restore(data, new, "boot")
    with pytest.raises(Malformed, match="another boot"):
        snapshot.restore(snapshot.write(old, "earlier"), new, "boot")
    assert taken(new, 2 * SECOND) == ({}, {})
