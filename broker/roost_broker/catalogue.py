"""Every topic with what is on it, who speaks and who listens: read by tests and rendered to `docs/topics.md`.

python -m roost_broker.catalogue           write docs/topics.md
python -m roost_broker.catalogue --check   exit 1 when it is not up to date
"""

import argparse
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec

from roost_broker.messages import (
    Alarm,
    Alarms,
    Alert,
    Ask,
    Availability,
    CameraStatus,
    DeadLetter,
    Declined,
    Event,
    Info,
    InjectedState,
    ModelState,
    Motion,
    Notice,
    OtaOrder,
    OtaState,
    Receipt,
    Reply,
    Request,
    Result,
    RoleState,
    ScheduleSet,
    Score,
    Snapshot,
    StoreState,
    Suggestion,
    SwitchState,
    Token,
    Trace,
)
from roost_broker.schemas import file_name, schema_name
from roost_broker.topics import matches


@dataclass(frozen=True, slots=True)
class TopicEntry:
    """One line of the catalogue. `topic` names its variable levels in angle brackets, below the base."""

    topic: str
    retained: bool
    content: tuple[type[msgspec.Struct], ...]
    """Messages that may be on it."""
    producer: str
    consumers: str
    sentence: str

    def topic_filter(self, base: str = "roost") -> str:
        """The MQTT filter of all topics of this kind."""
        levels = ["+" if level.startswith("<") else level for level in self.topic.split("/")]
        return "/".join([base, *levels])


_CATALOGUE = (
    TopicEntry(
        "<node>/availability", True, (Availability,), "device", "anyone", "Whether the device is there; its last will."
    ),
    TopicEntry("<node>/info", True, (Info,), "device", "anyone", "Versions, tasks, cameras and models of the device."),
    TopicEntry("<node>/event", False, (Event,), "any role", "operators", "Something an operator may want to know."),
    TopicEntry(
        "<node>/roles/<role>", True, (RoleState,), "each role", "anyone", "State of a process that is not a model."
    ),
    TopicEntry(
        "<node>/ota",
        True,
        (OtaState,),
        "OTA agent",
        "gateway, anyone",
        "What runs here and what is on its way, signed.",
    ),
    TopicEntry(
        "<node>/store",
        True,
        (StoreState,),
        "desk",
        "anyone",
        "How full the card is, and whether its house-keeping runs.",
    ),
    TopicEntry(
        "<node>/alarms",
        True,
        (Alarms,),
        "monitor",
        "anyone",
        "The open alarms of the device as a whole: its clock, its link.",
    ),
    TopicEntry("<node>/alarm", False, (Alarm,), "monitor", "anyone", "One of these was opened, changed or ended."),
    TopicEntry(
        "<node>/request/alarms",
        False,
        (Ask,),
        "anyone with the right",
        "monitor",
        'Tell every open alarm and how much history there is; one task: `{"task": "nest"}`.',
    ),
    TopicEntry(
        "<node>/request/acknowledge",
        False,
        (Ask,),
        "anyone with the right",
        "monitor",
        'Somebody knows of an alarm (`{"alarm": "01a1…", "by": "ana"}`): what is now, is the new normal.',
    ),
    TopicEntry(
        "<node>/request/ota",
        False,
        (OtaOrder,),
        "operators, gateway",
        "OTA agent",
        "Look for an update now, or report.",
    ),
    TopicEntry(
        "<node>/request/doctor",
        False,
        (Ask,),
        "operators, page",
        "desk",
        "Examine the device: what is well, what is not, and what to do about it.",
    ),
    TopicEntry("<node>/request/info", False, (Ask,), "operators", "desk", "Tell what the device is."),
    TopicEntry(
        "<node>/request/picture",
        False,
        (Ask,),
        "anyone with the right",
        "capture, desk",
        'Take a picture now with the camera named (`{"camera": "nest"}`) and classify it.',
    ),
    TopicEntry(
        "<node>/request/alerts",
        False,
        (Ask,),
        "anyone with the right",
        "alerts",
        "Tell how cameras, sightings, rules and switches stand.",
    ),
    TopicEntry(
        "<node>/request/notice",
        False,
        (Ask,),
        "anyone with the right",
        "alerts",
        "Give out a notice, to try whether it reaches people.",
    ),
    TopicEntry(
        "<node>/request/probe",
        False,
        (Ask,),
        "doctor",
        "doctor",
        "A message that its sender waits for: whether the broker carries anything.",
    ),
    TopicEntry(
        "<node>/response/<verb>",
        False,
        (Reply,),
        "desk, alerts, capture, monitor",
        "whoever asked",
        "The answer, with the question's transaction.",
    ),
    TopicEntry(
        "<node>/notices",
        False,
        (Notice,),
        "alerts",
        "notify, anyone",
        "A rule of the settings has something to say to people, once.",
    ),
    TopicEntry(
        "<node>/deadletter",
        False,
        (DeadLetter,),
        "desk",
        "operators",
        "What was meant for the device as a whole and could not be read.",
    ),
    TopicEntry(
        "<node>/<task>/raw",
        False,
        (Request, Token),
        "capture, request proxy",
        "state injector",
        "Requests without external state; tokens of a hand-over.",
    ),
    TopicEntry(
        "<node>/<task>/input",
        False,
        (Request, Token),
        "state injector",
        "models, decoy, rendezvous, monitor",
        "Requests as every model, the decoy and the rendezvous see them.",
    ),
    TopicEntry(
        "<node>/<task>/scores/<model>",
        False,
        (Score, Declined, Token),
        "each model",
        "rendezvous, decoy, monitor",
        "A model's answer, or that there will be none; tokens it passed on.",
    ),
    TopicEntry(
        "<node>/<task>/results/<requester>",
        False,
        (Result,),
        "rendezvous",
        "requester, alerts, feed, decoy, monitor",
        "The official outcome, exactly one for each request.",
    ),
    TopicEntry(
        "<node>/<task>/receipts",
        False,
        (Receipt,),
        "decoy, gateway",
        "capture",
        "This input is safely in the archive here, or (provenance: gateway) on its way to the centre.",
    ),
    TopicEntry("<node>/<task>/schedule", True, (ScheduleSet,), "operators", "rendezvous", "The schedule from now on."),
    TopicEntry(
        "<node>/<task>/models/<model>/state",
        True,
        (ModelState,),
        "each model",
        "rendezvous, operators",
        "State of a model's scaffold; its last will says gone.",
    ),
    TopicEntry(
        "<node>/<task>/models/<model>/state/<replica>",
        True,
        (ModelState,),
        "each replica of a model",
        "rendezvous, operators",
        "The same of a model that runs in several processes.",
    ),
    TopicEntry(
        "<node>/<task>/state",
        True,
        (InjectedState,),
        "state injector",
        "operators",
        "The external state that a request would be given now, with its age.",
    ),
    TopicEntry(
        "<node>/<task>/traces",
        False,
        (Trace,),
        "every component",
        "monitor",
        "What a component did for a traced request, step by step.",
    ),
    TopicEntry(
        "<node>/<task>/alarms",
        True,
        (Alarms,),
        "monitor",
        "page, OTA agent, anyone",
        "The task's open alarms, worst first, and whether there is enough history for any.",
    ),
    TopicEntry(
        "<node>/<task>/alarm", False, (Alarm,), "monitor", "anyone", "One of these was opened, changed or ended."
    ),
    TopicEntry(
        "<node>/<task>/suggestions",
        False,
        (Suggestion,),
        "feeds, page, people",
        "gateway",
        "What somebody says that a picture shows; a label only when reviewed.",
    ),
    TopicEntry(
        "<node>/<task>/deadletter", False, (DeadLetter,), "any role", "operators", "What could not be read, and why."
    ),
    TopicEntry("<node>/<camera>/motion", True, (Motion,), "capture", "anyone", "Whether something moves."),
    TopicEntry("<node>/<camera>/events", False, (Alert,), "alerts", "anyone", "Sightings: they begin, go on and end."),
    TopicEntry(
        "<node>/<camera>/snapshot", True, (Snapshot,), "alerts", "anyone", "Small picture of the newest sighting."
    ),
    TopicEntry(
        "<node>/<camera>/picture",
        True,
        (),
        "alerts",
        "Home Assistant",
        "The same picture as base64 alone; where [discovery] is on.",
    ),
    TopicEntry(
        "<node>/<camera>/status",
        True,
        (CameraStatus,),
        "alerts",
        "anyone",
        "Whether the camera works, and what it saw last.",
    ),
    *(
        entry
        for switch, producer, sentence in (
            ("alerts", "alerts", "whether the camera's sightings are told"),
            ("detection", "capture", "whether motion before the camera is looked at"),
        )
        for entry in (
            TopicEntry(
                f"<node>/<camera>/{switch}/set",
                False,
                (),
                "anyone with the right",
                producer,
                f"Switch {sentence}: the word `on` or `off`.",
            ),
            TopicEntry(
                f"<node>/<camera>/{switch}/state",
                True,
                (SwitchState,),
                producer,
                "anyone",
                f"How it stands {sentence}; kept over restarts.",
            ),
        )
    ),
)


def topic_catalogue() -> tuple[TopicEntry, ...]:
    """Every topic that Roost uses."""
    return _CATALOGUE


@lru_cache(maxsize=1000)
def entry_of(topic: str, base: str = "roost") -> TopicEntry | None:
    """The entry a topic belongs to; the most literal one, since a camera may be called like anything."""
    fitting = [entry for entry in _CATALOGUE if matches(entry.topic_filter(base), topic)]
    return min(fitting, key=lambda entry: entry.topic.count("<"), default=None)


def expected_schemas(topic: str, base: str = "roost") -> tuple[str, ...]:
    """Names of the schemas a payload on this topic may have; empty for unknown topics."""
    entry = entry_of(topic, base)
    if entry is None:
        return ()
    return tuple(schema_name(one) for one in entry.content)


def render() -> str:
    """docs/topics.md."""
    lines = [
        "# Topics",
        "",
        "Written by `python -m roost_broker.catalogue`; do not edit. Every topic begins with the base (`roost`, a",
        "setting), then the name of the device. R = retained. JSON messages name their schema in the field `schema`;",
        "the schemas are in `broker/schemas/`.",
        "",
        "| topic | R | content | from | to | what it says |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `roost/{entry.topic}` | {'R' if entry.retained else ''} | {_content(entry)} "
        f"| {entry.producer} | {entry.consumers} | {entry.sentence} |"
        for entry in _CATALOGUE
    ]
    lines += [
        "",
        "All messages are sent with QoS 1, traces with QoS 0. Look at them with `mosquitto_sub -t 'roost/#' -v`.",
        "",
    ]
    return "\n".join(lines)


def _content(entry: TopicEntry) -> str:
    names = [schema_name(one) for one in entry.content]
    return ", ".join(f"[{name}](../broker/schemas/{file_name(name)})" for name in names)


def document() -> Path:
    """`docs/topics.md` of a source tree."""
    return Path(__file__).resolve().parents[2] / "docs" / "topics.md"


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m roost_broker.catalogue", description="Write docs/topics.md.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when it is not up to date")
    options = parser.parse_args(arguments)
    path = document()
    if path.exists() and path.read_text(encoding="utf-8") == render():
        return 0
    if options.check:
        sys.stderr.write(f"not up to date: {path.name}\nRun: python -m roost_broker.catalogue\n")
        return 1
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(), encoding="utf-8")
    sys.stderr.write(f"written: {path.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
