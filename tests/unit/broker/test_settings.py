from typing import Any

import msgspec
import pytest

from roost_broker.errors import Misuse
from roost_broker.settings import BrokerSettings


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("host", ""),
        ("port", 0),
        ("port", 70_000),
        ("keepalive_s", 0),
        ("session_expiry_s", -1),
        ("receive_maximum", 0),
        ("send_maximum", 65_536),
        ("max_queued", 0),
        ("flush_s", 61),
        ("password", "without a name"),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(Misuse, match=rf"broker\.{field}"):
        BrokerSettings(**{field: value})


def test_an_unknown_key_in_a_settings_file_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="prot"):
        msgspec.convert({"prot": 1883}, BrokerSettings)


def test_a_base_of_several_levels_is_allowed_and_one_with_wildcards_is_not() -> None:
    assert BrokerSettings(base="farm/east").base == "farm/east"
    with pytest.raises(Misuse, match="topic base"):
        BrokerSettings(base="farm/#")
