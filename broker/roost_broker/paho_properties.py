"""MQTT 5 properties and reason codes by way of paho, whose classes for them are dynamic and untyped."""

from collections.abc import Callable
from typing import Any

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode


def connecting(session_expiry_s: int, receive_maximum: int) -> Any:
    """What a session asks of the broker."""
    properties = _new(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = session_expiry_s
    properties.ReceiveMaximum = receive_maximum
    return properties


def ending_the_session() -> Any:
    """A goodbye after which the broker forgets the session (MQTT 5.0 §3.14.2.2.2)."""
    properties = _new(PacketTypes.DISCONNECT)
    properties.SessionExpiryInterval = 0
    return properties


def packed_for_the_rim(expiry_s: int | None, response_topic: str | None, correlation_data: bytes | None) -> bytes:
    """Properties of a publication, as they go over the wire."""
    properties = _new(PacketTypes.PUBLISH)
    if expiry_s is not None:
        properties.MessageExpiryInterval = expiry_s
    if response_topic is not None:
        properties.ResponseTopic = response_topic
    if correlation_data is not None:
        properties.CorrelationData = correlation_data
    packed: bytes = properties.pack()
    return packed


def refusal(reason: int) -> str:
    """Name of a PUBACK's reason code; one that MQTT does not know is shown as a number."""
    try:
        return str(ReasonCode(PacketTypes.PUBACK, identifier=reason))
    except KeyError:
        return f"reason {reason:#x}"


def _new(packet_type: int) -> Any:
    make: Callable[[int], Any] = Properties
    return make(packet_type)
