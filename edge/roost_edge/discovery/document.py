"""The discovery document for Home Assistant: what the device is, and each entity with its topics. Pure.

By Home Assistant's rules for device-based discovery (its MQTT integration; since 2024.11):

1. One retained message on `<prefix>/device/<id>/config`, with `device`, `origin` and `components`.
2. Each component names its `platform` and has a `unique_id` that never changes: it is what Home Assistant remembers.
3. `availability` for all of them; a component with its own replaces it as a whole, so it repeats the device's.
4. A component is taken away by leaving only its `platform`.

Values are taken out of our messages by templates (Jinja2, which Home Assistant evaluates); no message is made for
Home Assistant alone but `picture`, since its image takes bytes and no template.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from roost_broker.topics import CameraTopics, NodeTopics
from roost_broker.version import VERSION
from roost_edge.discovery.settings import DiscoverySettings
from roost_edge.switches.switch import ALERTS, DETECTION

_HEAD: Final = {"timestamp": 0, "messageId": "0" * 32}
"""Of an order whose text Home Assistant keeps: it knows no clock of ours, and nobody orders by these."""
Component = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Inventory:
    """What the device has, as far as Home Assistant is to know it."""

    device: NodeTopics
    cameras: Sequence[str]
    lines: Sequence[tuple[str, str]] = ()
    """Task and model of each that is kept up to date over the air."""
    model: str = ""
    """Of the board."""
    removed: Mapping[str, str] = field(default_factory=dict)
    """Components that were announced once and are gone: key → platform."""


def device_id(device: NodeTopics) -> str:
    """Letters, digits, '-' and '_', as a level of the discovery topic must be; the same for ever."""
    return f"{device.base.replace('/', '-')}-{device.node}"


def config_topic(device: NodeTopics, settings: DiscoverySettings) -> str:
    """Where the document belongs."""
    return f"{settings.prefix}/device/{device_id(device)}/config"


def document(inventory: Inventory, settings: DiscoverySettings) -> dict[str, Any]:
    """The whole document, as plain values."""
    device = inventory.device
    found: dict[str, Component] = {}
    for camera in inventory.cameras:
        found.update({f"{camera}_{name}": one for name, one in camera_components(device.camera(camera)).items()})
    found.update(device_components(device))
    for task, model in inventory.lines:
        found[f"{task}_{model}_update"] = _update(device, task, model)
    own = device_id(device)
    for key, component in found.items():
        component["unique_id"] = f"{own}_{key}"
        component["object_id"] = f"{device.node}_{key}".lower().replace("-", "_")
    gone = {key: {"platform": platform} for key, platform in inventory.removed.items() if key not in found}
    card: dict[str, Any] = {
        "identifiers": [own],
        "name": settings.name or f"Roost {device.node}",
        "manufacturer": "Roost",
        "model": inventory.model or "camera sentinel",
        "sw_version": VERSION,
    }
    if settings.area:
        card["suggested_area"] = settings.area
    if settings.url:
        card["configuration_url"] = settings.url
    return {
        "device": card,
        "origin": {"name": "roost", "sw_version": VERSION},
        **_available(device),
        "qos": 1,
        "components": {**found, **gone},
    }


def platforms(found: Mapping[str, Any]) -> dict[str, str]:
    """Of a document: its living components, key → platform."""
    return {key: one["platform"] for key, one in found["components"].items() if len(one) > 1}


def camera_components(camera: CameraTopics) -> dict[str, Component]:
    """Entities of one camera, by a short name."""
    name = camera.camera
    working = _available(camera.device, camera)
    seen = "value_json.seenAt is defined"
    return {
        "motion": {
            "platform": "binary_sensor",
            "name": f"{name} motion",
            "device_class": "motion",
            "state_topic": camera.motion,
            "value_template": "{{ value_json.state }}",
            "payload_on": "on",
            "payload_off": "off",
            **working,
        },
        "label": {
            "platform": "sensor",
            "name": f"{name} last seen",
            "icon": "mdi:bird",
            "state_topic": camera.status,
            "value_template": "{{ value_json.label if value_json.label is defined else none }}",
            "json_attributes_topic": camera.status,
            "json_attributes_template": "{{ {'task': value_json.task | default('') , 'open': value_json.open "
            "| default([]), 'camera_state': value_json.state} | tojson }}",
        },
        "score": {
            "platform": "sensor",
            "name": f"{name} last score",
            "icon": "mdi:percent",
            "unit_of_measurement": "%",
            "state_class": "measurement",
            "state_topic": camera.status,
            "value_template": "{{ (value_json.score * 100) | round(1) if value_json.score is defined else none }}",
        },
        "seen_at": {
            "platform": "sensor",
            "name": f"{name} last seen at",
            "device_class": "timestamp",
            "state_topic": camera.status,
            "value_template": f"{{{{ (value_json.seenAt / 1000) | timestamp_utc if {seen} else none }}}}",
        },
        "works": {
            "platform": "binary_sensor",
            "name": f"{name} camera",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "state_topic": camera.status,
            "value_template": "{{ value_json.state }}",
            "payload_on": "online",
            "payload_off": "offline",
        },
        "picture": {
            "platform": "image",
            "name": f"{name} picture",
            "image_topic": camera.picture,
            "image_encoding": "b64",
            "content_type": "image/jpeg",
        },
        "sighting": {
            "platform": "event",
            "name": f"{name} sighting",
            "icon": "mdi:binoculars",
            "state_topic": camera.events,
            "event_types": ["new", "update", "end"],
            "value_template": "{{ {'event_type': value_json.type, 'label': value_json.label, 'score': "
            "value_json.score | default(none), 'task': value_json.task, 'requests': value_json.requests | default(1), "
            "'alert_id': value_json.alertId} | tojson }}",
        },
        DETECTION: _switch(camera, DETECTION, f"{name} motion detection", "mdi:motion-sensor", working),
        ALERTS: _switch(camera, ALERTS, f"{name} alerts", "mdi:bell", {}),
        "take_picture": {
            "platform": "button",
            "name": f"{name} take a picture",
            "icon": "mdi:camera",
            "command_topic": camera.device.request("picture"),
            "payload_press": msgspec.json.encode({"camera": name}).decode(),
            **working,
        },
    }


def device_components(device: NodeTopics) -> dict[str, Component]:
    """Entities of the device as a whole."""
    failing = "value_json.data.checks | selectattr('status', 'in', ['fail', 'warn']) | map(attribute='name') | list"
    return {
        "notice": {
            "platform": "event",
            "name": "Notice",
            "icon": "mdi:bell-ring",
            "state_topic": device.notices,
            "event_types": ["seen", "absent", "test"],
            "value_template": "{{ {'event_type': value_json.kind, 'rule': value_json.rule, 'text': value_json.text, "
            "'label': value_json.label | default(none), 'camera': value_json.camera | default(none)} | tojson }}",
        },
        "doctor": {
            "platform": "button",
            "name": "Run doctor",
            "icon": "mdi:stethoscope",
            "entity_category": "diagnostic",
            "command_topic": device.request("doctor"),
            "payload_press": "{}",
        },
        "problem": {
            "platform": "binary_sensor",
            "name": "Doctor's finding",
            "device_class": "problem",
            "entity_category": "diagnostic",
            "state_topic": device.response("doctor"),
            "value_template": "{{ 'off' if value_json.status == 'ok' and value_json.data.ok else 'on' }}",
            "payload_on": "on",
            "payload_off": "off",
            "json_attributes_topic": device.response("doctor"),
            "json_attributes_template": f"{{{{ {{'not_well': {failing}}} | tojson "
            "if value_json.data.checks is defined else '{}' }}",
        },
    }


def _update(device: NodeTopics, task: str, model: str) -> Component:
    """What runs, and what is on its way. Which bundle a device gets is the roll-out's to say: pressing only hastens."""
    own = f"selectattr('task', 'eq', '{task}') | selectattr('model', 'eq', '{model}') | list"
    waiting = ("idle", "deferred", "failed")
    return {
        "platform": "update",
        "name": f"{model} ({task})",
        "title": f"Model {model}",
        "entity_category": "config",
        "state_topic": device.ota,
        "value_template": f"{{% set line = ((value_json.lines | default([]) | {own}) + [{{}}]) | first %}}"
        "{% set runs = ((line.slots | default([]) | selectattr('state', 'eq', 'active') | list) + [{'version': ''}]) "
        "| first %}"
        "{% if line.phase is defined %}{{ {'installed_version': runs.version, "
        "'latest_version': line.wanted | default(runs.version, true), "
        f"'in_progress': line.phase not in {list(waiting)}}} | tojson }}}}{{% endif %}}",
        "command_topic": device.request("ota"),
        "payload_install": msgspec.json.encode({"schema": "roost.ota-order/1", **_HEAD, "do": "check"}).decode(),
    }


def _switch(camera: CameraTopics, switch: str, name: str, icon: str, available: Component) -> Component:
    return {
        "platform": "switch",
        "name": name,
        "icon": icon,
        "entity_category": "config",
        "state_topic": camera.switch_state(switch),
        "value_template": "{{ value_json.state }}",
        "command_topic": camera.switch_set(switch),
        "payload_on": "on",
        "payload_off": "off",
        **available,
    }


def _available(device: NodeTopics, camera: CameraTopics | None = None) -> Component:
    topics = [device.availability] if camera is None else [device.availability, camera.status]
    template = "{{ value_json.state }}"
    return {
        "availability": [{"topic": topic, "value_template": template} for topic in topics],
        "availability_mode": "all",
    }
