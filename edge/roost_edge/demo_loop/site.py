"""What the story needs on disk: pictures with their truth, two people's labels of them, and a device's settings."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path

from roost_henhouse.scenes import write_scenes
from roost_henhouse.truth import LABELS

TASK = "henhouse"
LINE = "breeds"
MODEL = "champion"
NODE = "coop-1"
MISTAKE = {"plymouth_rock": "buff_orpington"}
"""The book's figure 7-2: who labelled took Plymouth Rocks for Buff Orpingtons."""

_SITES = ("coop-2", "coop-3", "coop-4")
_DAYS = 10


def write_training_pictures(folder: Path, per_class: int, seed: int) -> int:
    """Pictures of every label, spread over three sites and ten days; returns how many."""
    return sum(write_scenes(folder, per_class, seed).values())


def write_labels(folder: Path, name: str, called: Mapping[str, str]) -> Path:
    """A list of labels for the pictures in `folder`, as a person would keep it; `called` is what is taken for what."""
    path = folder / f"{name}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["picture", "label", "site", "taken"])
        for label in LABELS:
            for number, picture in enumerate(sorted((folder / label).iterdir())):
                taken = f"2026-10-{1 + number % _DAYS:02d}T09:00:00Z"
                row = (f"{label}/{picture.name}", called.get(label, label), _SITES[number % len(_SITES)], taken)
                rows.writerow(row)
    return path


def write_camera_pictures(folder: Path, per_class: int, seed: int) -> dict[str, str]:
    """What the device's camera shows, label after label in turn; returns file name → what it truly shows."""
    made = folder.parent / f"{folder.name}-by-label"
    write_scenes(made, per_class, seed)
    folder.mkdir(parents=True)
    truth: dict[str, str] = {}
    pictures = {label: sorted((made / label).iterdir()) for label in LABELS}
    for number in range(per_class):
        for place, label in enumerate(LABELS):
            picture = pictures[label][number]
            name = f"{number:03d}-{place}.jpg"
            picture.rename(folder / name)
            truth[name] = label
    return truth


def settings_text(*, port: int, nats: str, registry: str, bundle: Path, canary: Path, interval_ms: int) -> str:
    """The device's settings file. Everything is looked at every second or two: a story, not a fleet."""

    def text(value: object) -> str:
        return json.dumps(str(value), ensure_ascii=False)

    return f"""\
# Written by the demo; `roost config check` reads it like any other.
[node]
name = "{NODE}"
data = "device"

[broker]
port = {port}

[tasks.{TASK}]
schedule = "schedule.toml"

[tasks.{TASK}.models.{MODEL}]
bundle = {text(bundle)}
ota = "{LINE}"

[tasks.{TASK}.models.canary]
bundle = {text(canary)}

[cameras.nest]
task = "{TASK}"
source = "folder"
path = "camera"
loop = true

[cameras.nest.capture]
interval_ms = {interval_ms}

[alerts]
quiet_labels = ["empty_nest"]
cooldown_s = 0

[gateway]
nodes = ["+"]  # the simulated devices use this broker, too

[gateway.centre]
urls = [{text(nats)}]

[ota]
registry = {text(registry)}
root = "root.json"
poll_s = 1
report_s = 1

[ota.tags]
site = "north"

[ota.busy]
motion = false
"""


SCHEDULE = f"""\
# The operator names the line; which of its two slots that is, the OTA agent fills in.
task = "{TASK}"
sla_ms = 2000
ignore = ["canary"]

[[step]]
after_ms = 0
accept = ["{MODEL}"]

[default]
after_ms = 1900
label = "unknown"
"""

GATE = """\
# The gate of the demo: the rules of the shipped one (`roost evaluate --show-gate`), with fewer pictures demanded.
[gate]
min_compared = 60
min_labelled = 10
max_drop = 0.01
max_drop_by_label = 0.05
labelled_each = 4
max_risk = 0.02
risk_share = 0.02
max_latency_ratio = 3.0  # a shared machine, busy with a whole fleet
max_p99_ratio = 10.0
max_memory_mb = 256
max_failures = 0
"""

POLICY = """\
# The roll-out policy of the demo: the steps of a real one, in seconds instead of days, and so for large effects only.
# What a fleet of yours needs, `roost rollout plan` computes.
effect = 0.2
shadow = [0.1, 0.5]
serving = [0.02, 0.2, 1.0]
settle_s = 3
min_dwell_s = 4
max_dwell_s = 12
hold_s = 60
quiet_s = 60
latency_ratio = 10.0  # a shared machine, busy with a whole fleet
"""
