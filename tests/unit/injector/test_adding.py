import json

import msgspec
import pytest

from roost_broker.errors import Malformed
from roost_broker.messages import MAX_BYTES, Request, decode
from roost_rendezvous.injector.adding import MAX_HOPS, add_state
from roost_rendezvous.injector.keeper import Given

HOP: dict[str, object] = {"node": "coop-1", "component": "injector", "version": "1", "at": 5}
BARE = (
    b'{"schema":"roost.request/1","timestamp":1,"messageId":"%s","requestId":"%s","returnAddress":"a/b",'
    b'"deadlineMs":2000,"input":{"values":{"x":1}}' % (b"0" * 32, b"0" * 32)
)
RAW = BARE + b"}"
DOOR = Given({"door": msgspec.Raw(b'"open"')}, {"door": 250}, 5)


def test_state_ages_and_one_hop_are_added_and_nothing_else_changes() -> None:
    request = decode(add_state(RAW, DOOR, {"door"}, HOP))
    assert isinstance(request, Request)
    assert (request.state, request.state_age_ms) == ({"door": "open"}, {"door": 250})
    assert [hop.component for hop in request.provenance.path] == ["injector"]
    loose = json.loads(add_state(RAW, DOOR, {"door"}, HOP))
    assert {key: value for key, value in loose.items() if key in json.loads(RAW)} == json.loads(RAW)


def test_without_state_only_the_hop_is_added() -> None:
    assert json.loads(add_state(RAW, Given(), (), HOP)) == {**json.loads(RAW), "provenance": {"path": [HOP]}}


def test_unknown_fields_keep_even_their_spelling() -> None:
    assert b'"odd":{"n":1.10e2,"u":"\\u00e4"}' in add_state(
        BARE + b',"odd":{"n":1.10e2,"u":"\\u00e4"}}', DOOR, {"door"}, HOP
    )


def test_of_what_a_request_brings_own_names_are_replaced_or_removed_and_others_kept() -> None:
    brought = BARE + b',"state":{"door":"forged","light":7.0,"own":1},"stateAgeMs":{"door":1,"light":2,"own":3}}'
    loose = json.loads(add_state(brought, DOOR, {"door", "own"}, HOP))
    assert loose["state"] == {"door": "open", "light": 7.0}
    assert loose["stateAgeMs"] == {"door": 250, "light": 2}


def test_the_newest_hops_are_kept() -> None:
    path = json.dumps([{**HOP, "at": number} for number in range(MAX_HOPS)])
    loose = json.loads(add_state(BARE + b',"provenance":{"mine":"kept","path":%s}}' % path.encode(), DOOR, (), HOP))
    assert [hop["at"] for hop in loose["provenance"]["path"]] == [*range(1, MAX_HOPS), 5]
    assert loose["provenance"]["mine"] == "kept"


def test_a_request_without_room_or_that_is_not_text_is_refused() -> None:
    with pytest.raises(Malformed, match="over"):
        add_state(BARE + b',"odd":"%s"}' % (b"x" * (MAX_BYTES - len(BARE) - 9)), DOOR, (), HOP)
    with pytest.raises(Malformed, match="utf-8"):
        add_state(BARE + b',"odd":"\xff"}', DOOR, (), HOP)


def test_the_same_request_and_state_make_the_same_bytes() -> None:
    assert add_state(RAW, DOOR, {"door"}, HOP) == add_state(RAW, DOOR, {"door"}, HOP)
