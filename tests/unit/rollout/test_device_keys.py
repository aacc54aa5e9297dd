"""Whose report it is: the key that a device showed first counts."""

from pathlib import Path

from story import report

from roost_broker.clock import VirtualClock
from roost_broker.headers import new_header
from roost_broker.messages import OtaState, decode, encode
from roost_edge.ota.device_key import DeviceKey
from roost_models.rollout.device_keys import DeviceKeys


def state(node: str) -> OtaState:
    head = new_header(VirtualClock(), node, "ota")
    line = report(node).line
    assert line is not None
    return OtaState(timestamp=head.timestamp, message_id=head.message_id, node=node, version="0", lines=[line])


def checked(keys: DeviceKeys, payload: bytes) -> bool | None:
    message = decode(payload)
    assert isinstance(message, OtaState)
    return keys.check(message, payload)


def test_the_first_key_counts_and_another_one_or_none_is_forged_until_it_is_forgotten(tmp_path: Path) -> None:
    own, stranger = DeviceKey.at(tmp_path / "own"), DeviceKey.at(tmp_path / "stranger")
    path = tmp_path / "keys.json"
    assert checked(DeviceKeys(path), own.sign(state("coop-1"))) is True
    keys = DeviceKeys(path)  # a centre that was started again
    assert checked(keys, stranger.sign(state("coop-1"))) is False
    assert checked(keys, encode(state("coop-1"))) is False
    assert checked(keys, own.sign(state("coop-1"))) is True
    assert keys.forget("coop-1")
    assert checked(keys, stranger.sign(state("coop-1"))) is True


def test_a_report_that_was_changed_on_its_way_is_forged(tmp_path: Path) -> None:
    signed = DeviceKey.at(tmp_path / "own").sign(state("coop-1"))
    assert checked(DeviceKeys(tmp_path / "keys.json"), signed.replace(b'"shadow"', b'"failed"')) is False


def test_a_device_that_has_never_signed_is_believed_unsigned(tmp_path: Path) -> None:
    assert checked(DeviceKeys(tmp_path / "keys.json"), encode(state("sim-1"))) is None
