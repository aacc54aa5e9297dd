"""Who reads without being declared: a real broker hands him nothing, and the catalogue names him from its log (C3)."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from rights_by_hand import SETTINGS
from secured_broker import SecuredBroker

from roost_broker.bus import Delivery
from roost_broker.credentials import as_operator, as_user
from roost_broker.errors import PeerError
from roost_broker.mqtt import MqttBus
from roost_provisioning.cli import main as roost

pytestmark = [pytest.mark.broker]
INPUT = "roost/coop-1/nest/input"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[SecuredBroker]:
    """As a device has it: without the log of packets."""
    with SecuredBroker(tmp_path / "broker") as found:
        path = tmp_path / "roost.toml"
        path.write_text(SETTINGS.format(port=found.port), encoding="utf-8")
        found.secure(path)
        path.write_text(path.read_text(encoding="utf-8").replace("log_packets = true\n", ""), encoding="utf-8")
        found.start()
        yield found


def streams(broker: SecuredBroker, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["roost", "streams", "--settings", str(broker.path), *words])
    try:
        return roost()
    except SystemExit as end:
        return int(end.code or 0)


def test_an_undeclared_reader_hears_nothing_and_is_named_from_the_log(
    run: Callable[..., Any], broker: SecuredBroker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[str] = []

    def hear(delivery: Delivery) -> None:
        heard.append(delivery.topic)

    settings = broker.device.broker

    async def main() -> None:
        reader = MqttBus(structs.replace(as_user(settings, "weather"), session_expiry_s=0), "reader")
        for topic in (INPUT, "weather/wishes"):
            reader.subscribe(topic, hear, qos=0)
        speaker = MqttBus(structs.replace(as_operator(settings), session_expiry_s=0), "speaker")
        await reader.start()
        await speaker.start()
        await speaker.publish(INPUT, b"{}")
        await reader.publish("weather/wishes", b"{}")
        with pytest.raises(PeerError):  # the broker answers in order: what it had for us came before this refusal
            await reader.publish("elsewhere", b"{}")
        await reader.stop()
        await speaker.stop()

    run(main(), timeout=60)
    assert heard == ["weather/wishes"]

    log = str(broker.process.log_file)
    assert streams(broker, monkeypatch, "--log", log, "--check", "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert [one["about"] for one in said["findings"]] == ["weather"]
    assert f"asks for {INPUT}" in said["findings"][0]["problem"]


def test_without_such_a_reader_the_check_says_yes(
    run: Callable[..., Any], broker: SecuredBroker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def main() -> None:
        # A client's id stands for its user where the log does not name users.
        reader = MqttBus(structs.replace(as_operator(broker.device.broker), session_expiry_s=0), "operator")
        reader.subscribe(INPUT, lambda delivery: None)
        await reader.start()
        await reader.stop()

    run(main(), timeout=60)
    assert streams(broker, monkeypatch, "--log", str(broker.process.log_file), "--check") == 0
    said = capsys.readouterr().out
    assert "roost/coop-1/nest/scores/champion" in said
    assert "1 subscription in the log; everybody has the right to what he asked for" in said


def test_a_log_that_nobody_is_in_is_no_yes_to_what_was_not_seen(
    broker: SecuredBroker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert streams(broker, monkeypatch, "--log", str(broker.process.log_file), "--check") == 0
    said = capsys.readouterr()
    assert "everybody has the right" not in said.out
    assert "Not checked: who asks for more than he was given." in said.err
