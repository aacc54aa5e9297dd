"""Common names of certificates: what can be one, and what an MQTT broker makes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.errors import Malformed, Misuse
from roost_broker.identities import KINDS, MAX_NAME, identity, parse


@pytest.mark.parametrize(
    "common_name", ["operator:anna", "watcher:wall-1", "gateway:coop_7", "device:nest-a", "server:centre.example"]
)
def test_a_common_name_is_read_and_written_the_same(common_name: str) -> None:
    assert str(parse(common_name)) == common_name


@pytest.mark.parametrize(
    "common_name",
    [
        "",
        "anna",
        "operator:",
        ":anna",
        "root:anna",
        "Operator:anna",
        "operator:anna:bert",
        "operator:anna/bert",
        "operator:+",
        "operator:#",
        "device:a.b",
        "device:nest\n",
        "device:né",
        "device:-x",
        "server:-x",
        "server:x-",
        f"device:{'x' * (MAX_NAME + 1)}",
    ],
)
def test_what_is_no_identity_is_refused(common_name: str) -> None:
    with pytest.raises(Malformed):
        parse(common_name)


@given(st.sampled_from(KINDS), st.text(max_size=70))
def test_an_identity_that_can_be_is_a_user_name_without_wildcards_and_fits_a_certificate(kind: str, name: str) -> None:
    try:
        text = str(identity(kind, name))
    except Misuse:
        return
    assert len(text) <= 64
    assert not set(text) & set("+#/\x00\n")
    assert parse(text) == (kind, name)
