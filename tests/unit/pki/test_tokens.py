"""Tokens: what is kept of them, and which names they give."""

import pytest

from roost_broker.errors import Misuse
from roost_broker.identities import MAX_NAME, identity
from roost_provisioning.pki.tokens import (
    ENTROPY,
    MAX_PREFIX,
    NotIssued,
    Token,
    check_names,
    hash_of,
    names_for,
    new_text,
)

KEY = "00ff" * 16


def token(*, name: str = "", prefix: str = "") -> Token:
    return Token("12345678", "h", name, prefix, 1, 0, 0)


def test_a_token_can_be_typed_and_only_its_hash_tells_it_again() -> None:
    text = new_text(bytes(range(ENTROPY)))
    assert text == "00010203-aqcqmbyibefawdanbyhraeiscmkbkfqx"
    assert hash_of(text) == hash_of(f" {text}\n")
    assert text.partition("-")[2] not in hash_of(text)


def test_a_token_for_one_name_gives_that_name_and_no_other() -> None:
    assert names_for(token(name="nest-a"), "", KEY) == ["nest-a"]
    assert names_for(token(name="nest-a"), "nest-a", KEY) == ["nest-a"]
    with pytest.raises(NotIssued):
        names_for(token(name="nest-a"), "nest-b", KEY)


def test_a_token_for_a_prefix_gives_names_by_the_key() -> None:
    names = names_for(token(prefix="coop"), "", KEY)
    assert names[0] == "coop-ad7qb7"
    assert len(set(names)) == len(names) > 1
    assert names == names_for(token(prefix="coop"), "coop", KEY)
    assert names[0] != names_for(token(prefix="coop"), "", "11" * 32)[0]


def test_a_wish_must_suit_the_prefix() -> None:
    assert names_for(token(prefix="coop"), "coop-door", KEY) == ["coop-door"]
    with pytest.raises(NotIssued):
        names_for(token(prefix="coop"), "coopdoor", KEY)


def test_a_token_without_a_name_gives_what_is_wished_for() -> None:
    assert names_for(token(), "nest-a", KEY) == ["nest-a"]
    assert names_for(token(), "", KEY)[0].startswith("roost-")


def test_the_longest_prefix_still_makes_names_that_can_be() -> None:
    for name in names_for(token(prefix="p" * MAX_PREFIX), "", KEY):
        assert len(identity("device", name).name) <= MAX_NAME


@pytest.mark.parametrize(
    ("name", "prefix", "uses"), [("a", "b", 1), ("a", "", 2), ("a/b", "", 1), ("", "+", 1), ("", "p" * 41, 1)]
)
def test_a_token_that_cannot_be_kept_is_not_made(name: str, prefix: str, uses: int) -> None:
    with pytest.raises(Misuse):
        check_names(name, prefix, uses)
