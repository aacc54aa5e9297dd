"""What a stranger writes into headers and subjects gets no further than the refusals."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.centre import credible
from roost_broker.centre.envelope import Envelope, headers_of
from roost_broker.centre.lanes import subject_of
from roost_broker.errors import Malformed
from roost_broker.topics import is_name

ONE = Envelope("roost/coop-1/henhouse/input", b"{}", "coop-1", "ab" * 16, "inputs", 7, 1_800_000_000_000)
SUBJECT = "up.inputs.roost.coop-1.henhouse.input"


def test_what_a_gateway_sends_is_believed() -> None:
    assert credible.read(SUBJECT, headers_of(ONE), b"{}") == ONE
    gap = replace(ONE, topic="roost/coop-1/gap", gap=(3, 7), payload=b"")
    assert credible.read("up.inputs.roost.coop-1.gap", headers_of(gap), b"") == gap


@pytest.mark.parametrize(
    ("subject", "change", "why"),
    [
        ("up.inputs.roost.coop-2.henhouse.input", {}, "is not that of"),  # its server's permissions are for coop-2
        (SUBJECT, {"Roost-Topic": "roost/coop-2/henhouse/input"}, "sent it"),
        (SUBJECT, {"Roost-Topic": "roost/coop-2/henhouse/input", "Roost-Node": "coop-2"}, "is not that of"),
        (SUBJECT, {"Roost-Node": "coop-2"}, "sent it"),
        (SUBJECT, {"Roost-Lane": "alerts"}, "is not that of"),
        (SUBJECT, {"Roost-Topic": "roost/../henhouse/input", "Roost-Node": ".."}, "no device"),
        (SUBJECT, {"Roost-Topic": "%2Fetc%2Fpasswd"}, "no device"),
        (SUBJECT, {"Roost-Topic": "roost/coop-1/%00/input"}, "no topic"),
        (SUBJECT, {"Roost-Topic": "roost/coop-1/#"}, "no topic"),
    ],
)
def test_what_does_not_agree_is_refused_with_the_reason(subject: str, change: dict[str, str], why: str) -> None:
    with pytest.raises(Malformed, match=why):
        credible.read(subject, headers_of(ONE) | change, b"{}")


@given(st.text(max_size=60), st.text(max_size=20), st.text(max_size=80))
def test_whatever_is_written_the_device_is_a_name_and_the_subject_its_own(topic: str, node: str, subject: str) -> None:
    headers = headers_of(replace(ONE, topic=f"roost/{topic}", node=node or "x"))
    try:
        one = credible.read(subject, headers, b"")
    except Malformed:
        return
    assert is_name(one.node)
    assert subject == subject_of(one.topic, one.lane)
