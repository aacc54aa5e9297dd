from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oauthlib.oauth1 import Client

from roost_edge.feed.practise.oauth import SKEW_S, Signed, refusal, signature
from roost_edge.feed.practise.world import PRACTISE_KEYS, World

NOW = 1_800_000_000
URL = "http://127.0.0.1:8090/2/tweets"


def signed(
    url: str = URL, query: str = "", *, at: int = NOW, secret: str = PRACTISE_KEYS.access_token_secret
) -> Signed:
    """By somebody else's hand."""
    by = Client(
        PRACTISE_KEYS.consumer_key,
        PRACTISE_KEYS.consumer_secret,
        PRACTISE_KEYS.access_token,
        secret,
        timestamp=str(at),
        nonce="n",
    )
    _, headers, _ = by.sign(url + (f"?{query}" if query else ""), "POST")
    pairs = [tuple(part.split("=")) for part in query.split("&") if part]
    return Signed("POST", url, pairs, headers["Authorization"])  # type: ignore[arg-type]  # pairs of two


def test_the_example_of_the_service_itself_has_the_signature_that_its_documentation_prints() -> None:
    keys = replace(
        PRACTISE_KEYS,
        consumer_secret="kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",  # noqa: S106  # printed in public
        access_token_secret="LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",  # noqa: S106  # as above
    )
    parameters = [
        ("status", "Hello Ladies + Gentlemen, a signed OAuth request!"),
        ("include_entities", "true"),
        ("oauth_consumer_key", "xvz1evFS4wEEPTGEFPHBog"),
        ("oauth_nonce", "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg"),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", "1318622958"),
        ("oauth_token", "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb"),
        ("oauth_version", "1.0"),
    ]
    url = "https://api.twitter.com/1.1/statuses/update.json"
    assert signature("POST", url, parameters, keys) == "hCtSmYh+iHYCEqBWrE7C7hYmtUk="


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True)))
def test_what_another_library_signs_is_accepted(values: dict[str, str]) -> None:
    query = "&".join(f"{name}={value}" for name, value in values.items())
    assert refusal(signed(query=query), PRACTISE_KEYS, NOW) == ""


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (signed(secret="wrong"), "does not fit"),  # noqa: S106  # that is the test
        (replace(signed(), url=URL.replace("tweets", "users")), "does not fit"),
        (replace(signed(), method="GET"), "does not fit"),
        (replace(signed(), parameters=[("a", "b")]), "does not fit"),
        (replace(signed(), authorization="Bearer x"), "no OAuth"),
        (replace(signed(), authorization=""), "no OAuth"),
        (signed(at=NOW - SKEW_S - 1), "timestamp"),
        (replace(signed(), authorization=signed().authorization.replace("practise-consumer", "x")), "consumer key"),
        (replace(signed(), authorization=signed().authorization.replace("practise-token", "x")), "access token"),
    ],
)
def test_each_thing_that_is_wrong_with_a_signature_is_found(request_: Signed, why: str) -> None:
    assert why in refusal(request_, PRACTISE_KEYS, NOW)


def test_a_request_that_is_sent_again_by_somebody_who_listened_is_refused() -> None:
    world = World()
    assert [world.replayed("a"), world.replayed("b"), world.replayed("a")] == [False, False, True]
