"""Home Assistant's published rules for device-based discovery, as far as the platforms go that we announce.

Written from the documentation of its MQTT integration and read against its schemas (2025.4): which options each
platform knows, which it needs, what kind of value each takes. Abbreviations and the base `~` are not used, so they are
refused here. An option that is not known is a mistake: Home Assistant drops it without a word.
"""

import json
import re
from collections.abc import Callable
from typing import Any

LEVEL = re.compile(r"[a-zA-Z0-9_-]+\Z")
ICON = re.compile(r"mdi:[a-z0-9-]+\Z")
CATEGORIES = {"config", "diagnostic"}
Check = Callable[[Any], bool]


def text(value: Any) -> bool:
    return isinstance(value, str)


def topic(value: Any) -> bool:
    return text(value) and 0 < len(value.encode()) <= 65_535 and not set(value) & set("+#\0")


def template(value: Any) -> bool:
    """Balanced blocks; what they mean is tried with Jinja where Home Assistant itself is at hand."""
    return text(value) and value.count("{{") == value.count("}}") and value.count("{%") == value.count("%}")


def truth(value: Any) -> bool:
    return isinstance(value, bool)


def one_of(*words: str) -> Check:
    return lambda value: value in words


def words(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(text, value))


def url(value: Any) -> bool:
    return text(value) and bool(re.match(r"(https?|homeassistant)://[^/\s]+", value))


AVAILABLE: dict[str, Check] = {
    "availability": lambda value: isinstance(value, list) and all(map(availability, value)),
    "availability_mode": one_of("all", "any", "latest"),
}
COMMON: dict[str, Check] = {
    **AVAILABLE,
    "platform": text,
    "name": text,
    "unique_id": text,
    "object_id": text,
    "icon": lambda value: text(value) and bool(ICON.match(value)),
    "entity_category": one_of(*CATEGORIES),
    "enabled_by_default": truth,
    "json_attributes_topic": topic,
    "json_attributes_template": template,
    "qos": one_of(0, 1, 2),  # type: ignore[arg-type]  # numbers are words enough
}
READS: dict[str, Check] = {"state_topic": topic, "value_template": template}
ORDERS: dict[str, Check] = {"command_topic": topic, "command_template": template, "retain": truth}
OPTIONS: dict[str, dict[str, Check]] = {
    "binary_sensor": {
        **READS,
        "device_class": one_of("motion", "connectivity", "problem", "occupancy"),
        "payload_on": text,
        "payload_off": text,
    },
    "sensor": {
        **READS,
        "device_class": one_of("timestamp"),
        "unit_of_measurement": text,
        "state_class": one_of("measurement", "total", "total_increasing"),
    },
    "image": {"image_topic": topic, "image_encoding": one_of("b64"), "content_type": text},
    "event": {**READS, "event_types": words, "device_class": one_of("button", "doorbell", "motion")},
    "switch": {
        **{**READS, **ORDERS},
        **dict.fromkeys(("payload_on", "payload_off", "state_on", "state_off"), text),
    },
    "button": {**ORDERS, "payload_press": text, "device_class": one_of("identify", "restart", "update")},
    "update": {
        **READS,
        **dict.fromkeys(("payload_install", "title", "release_summary"), text),
        "command_topic": topic,
        "latest_version_topic": topic,
        "latest_version_template": template,
        "device_class": one_of("firmware"),
    },
}
NEEDED = {
    "binary_sensor": ("state_topic",),
    "sensor": ("state_topic",),
    "image": ("image_topic",),
    "event": ("state_topic", "event_types"),
    "switch": ("command_topic",),
    "button": ("command_topic",),
    "update": (),
}
DEVICE: dict[str, Check] = {
    "identifiers": words,
    **dict.fromkeys(("name", "manufacturer", "model", "model_id", "sw_version", "hw_version"), text),
    **dict.fromkeys(("serial_number", "suggested_area", "via_device"), text),
    "configuration_url": url,
}
ORIGIN: dict[str, Check] = {"name": text, "sw_version": text, "support_url": url}
ROOT = {"device", "origin", "components", "availability", "availability_mode", "qos", "encoding"} | set(READS)


def availability(value: Any) -> bool:
    known: dict[str, Check] = {
        "topic": topic,
        "value_template": template,
        "payload_available": text,
        "payload_not_available": text,
    }
    return isinstance(value, dict) and "topic" in value and not list(wrong(value, known))


def wrong(part: dict[str, Any], known: dict[str, Check]) -> list[str]:
    """Options that are not known, or whose value is of another kind."""
    return [name for name, value in part.items() if name not in known or not known[name](value)]


def problems(where: str, payload: bytes, *, prefix: str = "homeassistant") -> list[str]:
    """Everything that Home Assistant would refuse, ignore or drop; empty for a document that it takes whole."""
    found: list[str] = []
    levels = where.removeprefix(f"{prefix}/").split("/")
    if not where.startswith(f"{prefix}/device/") or len(levels) not in (3, 4) or levels[-1] != "config":
        found.append(f"topic {where}")
    found += [f"topic level {level}" for level in levels if not LEVEL.match(level)]
    document = json.loads(payload)
    found += [f"root {name}" for name in document if name not in ROOT]
    found += [f"device {name}" for name in wrong(document.get("device", {}), DEVICE)]
    found += [f"origin {name}" for name in wrong(document.get("origin", {}), ORIGIN)]
    if not document.get("device", {}).get("identifiers"):
        found.append("device has no identifiers")
    if not document.get("origin", {}).get("name"):
        found.append("origin has no name")
    found += wrong({key: document[key] for key in AVAILABLE if key in document}, AVAILABLE)
    ids: list[str] = []
    for key, component in document["components"].items():
        found += [f"{key} {problem}" for problem in _component(component)]
        ids.append(component.get("unique_id", key))
    found += [f"unique_id {one} twice" for one in set(ids) if ids.count(one) > 1]
    return found


def _component(component: dict[str, Any]) -> list[str]:
    platform = component.get("platform")
    if platform not in OPTIONS:
        return [f"platform {platform}"]
    if len(component) == 1:
        return []  # it is taken away
    found = [f"lacks {name}" for name in ("unique_id", *NEEDED[platform]) if name not in component]
    found += wrong(component, {**COMMON, **OPTIONS[platform]})
    if component.get("device_class") == "timestamp" and "state_class" in component:
        found.append("a timestamp is no measurement")
    return found
