"""Who may say and hear what on a device's broker, written by hand: what `test_broker_security` holds the rights to."""

import itertools
from collections.abc import Iterator

from roost_broker.catalogue import topic_catalogue

SETTINGS = """
[node]
name = "coop-1"
data = "data"
[broker]
port = {port}
[tasks.nest]
schedule = "nest.toml"
models.champion = {{ bundle = "b", ota = "hen" }}
models.other = {{ bundle = "b" }}
models.pair = {{ bundle = "b", replicas = 2 }}
state.outside = {{ topic = "weather/temperature" }}
[tasks.gate]
schedule = "gate.toml"
models.champion = {{ bundle = "b" }}
[cameras.yard]
task = "nest"
source = "synthetic"
[cameras.road]
task = "gate"
source = "synthetic"
[ota]
registry = "registry"
root = "root.json"
[proxy]
[gateway]
[feed]
[mosquitto.programs.weather]
read = ["weather/wishes"]
write = ["weather/#", "roost/coop-1/nest/suggestions"]
[mosquitto.programs.home]
home_assistant = true
[discovery]
[alerts.rules.all]
[notify]
urls = "notify.urls"
"""
LEVELS = {
    "<node>": ("coop-1", "coop-2"),
    "<task>": ("nest", "gate"),
    "<camera>": ("yard", "road"),
    "<model>": ("champion", "champion-b", "other", "pair"),
    "<replica>": ("1", "2"),
    "<requester>": ("yard", "road", "proxy-http"),
    "<role>": (
        "rendezvous-nest",
        "rendezvous-nest-b",
        "injector-nest",
        "capture-yard",
        "gateway",
        "desk",
        "ota",
        "feed",
    ),
    "<verb>": ("doctor", "info", "probe", "picture", "alerts", "notice", "alarms", "acknowledge"),
}
STRANGERS = ("weather/temperature", "weather/wishes", "homeassistant/sensor/x/config", "elsewhere", "$CONTROL/dynamic")
DOCUMENT, BIRTH = "homeassistant/device/roost-coop-1/config", "homeassistant/status"


def instances(topic: str) -> Iterator[str]:
    levels = [LEVELS.get(level, (level,)) for level in topic.split("/")]
    return ("roost/" + "/".join(chosen) for chosen in itertools.product(*levels))


CATALOGUED = {topic for entry in topic_catalogue() for topic in instances(entry.topic)}
TOPICS = sorted(CATALOGUED | {*STRANGERS, DOCUMENT, BIRTH})
OWN = "roost/coop-1/"


def topics(*wanted: str) -> set[str]:
    """Of all topics those below the device that begin so; `=` before it: exactly that one."""
    found: set[str] = set()
    for one in wanted:
        fitting = {topic for topic in TOPICS if topic.startswith(OWN + one) or topic == one.removeprefix("=")}
        exact = {topic for topic in TOPICS if topic == OWN + one.removeprefix("=")}
        some = (exact or fitting) if one.startswith("=") else fitting
        assert some, one
        found |= some
    return found


def role(name: str) -> set[str]:
    """A role's own state, where the table of topics has it, and the device's events."""
    return {topic for topic in TOPICS if topic in (f"{OWN}roles/{name}", f"{OWN}event")}


def rest(task: str) -> set[str]:
    return topics(f"={task}/traces", f"={task}/deadletter")


SAID_OF_CAMERAS = ("events", "snapshot", "picture", "status", "alerts/state")
ANSWERS = topics("nest/results/", "gate/results/")
# What each may write: by hand, and not by the rules that are tested. All other topics are refused.
MAY_WRITE: dict[str, set[str]] = {
    "rendezvous-nest": role("rendezvous-nest") | rest("nest") | ANSWERS | topics("=nest/schedule"),
    "rendezvous-nest-b": role("rendezvous-nest-b") | rest("nest") | ANSWERS | topics("=nest/schedule"),
    "rendezvous-nest.scores": set(),
    "injector-nest": role("injector-nest") | rest("nest") | topics("=nest/input", "=nest/state"),
    "injector-nest.state": set(),
    "injector-nest.watch": set(),
    "model-nest-champion": topics("=event", "=nest/scores/champion", "=nest/models/champion/state") | rest("nest"),
    "model-nest-champion-b": topics("=event", "=nest/scores/champion-b", "=nest/models/champion-b/state")
    | rest("nest"),
    "model-nest-pair-1": topics("=event", "=nest/scores/pair", "=nest/models/pair/state/1") | rest("nest"),
    "model-gate-champion": topics("=event", "=gate/scores/champion", "=gate/models/champion/state") | rest("gate"),
    "decoy-nest": role("decoy-nest") | rest("nest") | topics("=nest/receipts"),
    "monitor": role("monitor")
    | topics(*(f"={task}/{what}" for task in ("nest", "gate") for what in ("alarms", "alarm", "deadletter")))
    | topics("=alarms", "=alarm", "=deadletter", "=response/alarms", "=response/acknowledge"),
    "capture-yard": role("capture-yard")
    | rest("nest")
    | topics("=nest/raw", "=yard/motion")
    | topics("=response/picture", "=yard/detection/state", "=deadletter"),
    "alerts": role("alerts")
    | topics("=availability", "=info", "=nest/deadletter", "=gate/deadletter", "=deadletter", "=notices")
    | topics("=response/alerts", "=response/notice")
    | topics(*(f"={camera}/{what}" for camera in ("yard", "road") for what in SAID_OF_CAMERAS))
    | {DOCUMENT},
    "notify": role("notify") | topics("=deadletter"),
    "home": {DOCUMENT, BIRTH}
    | topics("=request/doctor", "=request/picture", "=request/ota")
    | topics(*(f"={camera}/{what}/set" for camera in ("yard", "road") for what in ("alerts", "detection"))),
    "proxy": role("proxy") | topics("=nest/raw", "=gate/raw", "=nest/deadletter", "=gate/deadletter"),
    "feed": role("feed")
    | topics(*(f"={task}/{what}" for task in ("nest", "gate") for what in ("suggestions", "deadletter"))),
    "gateway": role("gateway") | topics("=request/ota", "=nest/receipts", "=gate/receipts"),
    "ota": role("ota") | topics("=ota"),
    "ota.schedule": topics("=nest/schedule", "=gate/schedule"),
    "desk": role("desk") | topics("=response/doctor", "=response/info", "=response/picture", "=deadletter", "=store"),
    "desk.doctor": topics("=request/probe"),
    "watcher": set(),
    "weather": {"weather/temperature", "weather/wishes", "roost/coop-1/nest/suggestions"},
    "operator": {topic for topic in TOPICS if topic.startswith("roost/")},
}
MAY_READ: dict[str, set[str]] = {
    "rendezvous-nest": topics("=nest/input", "nest/models/", "=nest/schedule", "=roles/rendezvous-nest-b"),
    "rendezvous-nest-b": topics("=nest/input", "nest/models/", "=nest/schedule", "=roles/rendezvous-nest"),
    "rendezvous-nest.scores": topics("nest/scores/"),
    "injector-nest": topics("=nest/raw"),
    "injector-nest.state": {"weather/temperature"},
    "injector-nest.watch": topics("=nest/input"),
    "model-nest-champion": topics("=nest/input", "=nest/schedule"),
    "model-nest-champion-b": topics("=nest/input", "=nest/schedule"),
    "model-nest-pair-1": topics("=nest/input", "=nest/schedule"),
    "model-gate-champion": topics("=gate/input", "=gate/schedule"),
    "decoy-nest": topics("=nest/input", "nest/scores/", "nest/results/"),
    "monitor": topics(
        *(
            f"{task}/{what}"
            for task in ("nest", "gate")
            for what in ("traces", "input", "results/", "scores/", "models/")
        )
    )
    | topics("=event", "roles/", "=request/alarms", "=request/acknowledge"),
    "capture-yard": topics("=nest/results/yard", "=nest/receipts", "=roles/gateway")
    | topics("=request/picture", "=yard/detection/set"),
    "alerts": ANSWERS
    | topics("=request/alerts", "=request/notice", "=yard/alerts/set", "=road/alerts/set", "=roles/capture-yard"),
    "notify": topics("=notices"),
    "home": topics("=availability", "=notices", "=ota", "=response/doctor")
    | topics(
        *(
            f"={camera}/{what}"
            for camera in ("yard", "road")
            for what in ("motion", "status", "events", "picture", "alerts/state", "detection/state")
        )
    ),
    "proxy": topics(
        "roles/", "=nest/results/proxy-http", "=gate/results/proxy-http", "=nest/schedule", "=gate/schedule"
    )
    | topics("nest/models/", "gate/models/"),
    "feed": ANSWERS,
    "gateway": topics(""),
    "ota": topics(
        *(
            f"{task}/{what}"
            for task in ("nest", "gate")
            for what in ("schedule", "models/", "input", "scores/", "results/", "alarms")
        )
    )
    | topics("=yard/motion", "=road/motion", "=request/ota"),
    "ota.schedule": topics("=event", "=nest/schedule", "=gate/schedule", "roles/rendezvous-nest"),
    "desk": topics("=request/doctor", "=request/info", "=request/picture", "roles/"),
    "desk.doctor": topics(""),
    "watcher": {topic for topic in TOPICS if topic.startswith("roost/")},
    "weather": {"weather/wishes"},
    "operator": {topic for topic in TOPICS if topic.startswith("roost/")},
}
