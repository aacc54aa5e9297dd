"""The topic tree, built and parsed here and nowhere else.

    roost/<node>/availability R · info R · event · roles/<role> R · ota R · store R · deadletter
    roost/<node>/notices · alarms R · alarm · request/<verb> · response/<verb>
    roost/<node>/<task>/raw · input · scores/<model> · results/<requester> · receipts
    roost/<node>/<task>/schedule R · state R · models/<model>/state R · suggestions · alarms R · alarm · deadletter
    roost/<node>/<camera>/motion R · status R · events · snapshot R · picture R · <switch>/set · <switch>/state R

R = retained. `roost` is the configurable base (it may have several levels). A *task* is one kind of decision with
its own topics, models and schedule; tasks never share a stream.
"""

import re
from dataclasses import dataclass

from roost_broker.errors import Misuse

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
_RESERVED = frozenset(
    {
        *("availability", "info", "health", "event", "notices", "roles", "ota", "store", "request", "response"),
        *("alarms", "alarm", "deadletter"),
    }
)


def check_name(kind: str, name: str) -> str:
    """Return `name` when it can be one level of a topic, else raise `Misuse`."""
    if not is_name(name):
        raise Misuse(
            f"{name!r} cannot be the name of a {kind}.",
            "Use letters, digits, '-' and '_', at most 64, beginning with a letter or digit.",
        )
    return name


def is_name(name: str) -> bool:
    """Whether `name` can be one level of a topic."""
    return _NAME.match(name) is not None


@dataclass(frozen=True, slots=True)
class NodeTopics:
    """Topics of one device."""

    node: str
    base: str = "roost"

    def __post_init__(self) -> None:
        check_name("node", self.node)
        for level in self.base.split("/"):
            check_name("topic base", level)

    @property
    def root(self) -> str:
        """`roost/<node>`."""
        return f"{self.base}/{self.node}"

    @property
    def availability(self) -> str:
        """Retained; the last will says offline."""
        return f"{self.root}/availability"

    @property
    def info(self) -> str:
        """Retained; what the device is."""
        return f"{self.root}/info"

    @property
    def event(self) -> str:
        """Not retained; what an operator may want to know."""
        return f"{self.root}/event"

    @property
    def notices(self) -> str:
        """Not retained; what the rules of the settings say to people."""
        return f"{self.root}/notices"

    @property
    def ota(self) -> str:
        """Retained; what runs on the device and what is on its way there."""
        return f"{self.root}/ota"

    @property
    def store(self) -> str:
        """Retained; how full the card is, and whether its house-keeping runs."""
        return f"{self.root}/store"

    @property
    def alarms(self) -> str:
        """Retained; the open alarms of the device as a whole."""
        return f"{self.root}/alarms"

    @property
    def alarm(self) -> str:
        """Not retained; each change of one of them."""
        return f"{self.root}/alarm"

    def request(self, verb: str) -> str:
        """Where the device is asked to do something."""
        return f"{self.root}/request/{check_name('verb', verb)}"

    def response(self, verb: str) -> str:
        """Where the device answers what it was asked."""
        return f"{self.root}/response/{check_name('verb', verb)}"

    @property
    def deadletter(self) -> str:
        """Where messages to the device as a whole go that nobody could read; each task has its own."""
        return f"{self.root}/deadletter"

    def role(self, role: str) -> str:
        """Retained state of a process that is not a model."""
        return f"{self.root}/roles/{check_name('role', role)}"

    @property
    def all_roles(self) -> str:
        """Filter for the states of all roles of this device."""
        return f"{self.root}/roles/+"

    def task(self, task: str) -> "TaskTopics":
        """Topics of one task on this device."""
        return TaskTopics(self, task)

    def camera(self, camera: str) -> "CameraTopics":
        """Topics of one camera on this device."""
        return CameraTopics(self, camera)


@dataclass(frozen=True, slots=True)
class TaskTopics:
    """Topics of one task: the rendezvous flow."""

    device: NodeTopics
    task: str

    def __post_init__(self) -> None:
        if check_name("task", self.task) in _RESERVED:
            raise Misuse(f"{self.task!r} is a reserved word in the topic tree.", "Choose another task name.")

    @property
    def root(self) -> str:
        """`roost/<node>/<task>`."""
        return f"{self.device.root}/{self.task}"

    @property
    def raw(self) -> str:
        """Requests before the state injector."""
        return f"{self.root}/raw"

    @property
    def input(self) -> str:
        """Requests as every model, the decoy and the rendezvous see them."""
        return f"{self.root}/input"

    @property
    def all_scores(self) -> str:
        """Filter for every model's scores and declines."""
        return f"{self.root}/scores/+"

    def scores(self, model: str) -> str:
        """Where one model answers or declines."""
        return f"{self.root}/scores/{check_name('model', model)}"

    @property
    def all_results(self) -> str:
        """Filter for the official results of every requester on this device."""
        return f"{self.root}/results/+"

    def results(self, requester: str) -> str:
        """A return address."""
        return f"{self.root}/results/{check_name('requester', requester)}"

    @property
    def receipts(self) -> str:
        """The decoy's receipts, one for each archived input."""
        return f"{self.root}/receipts"

    @property
    def schedule(self) -> str:
        """Retained schedule of the task."""
        return f"{self.root}/schedule"

    @property
    def all_model_states(self) -> str:
        """Filter for the retained states of all models, replicas included (`#` matches its parent level too)."""
        return f"{self.root}/models/+/state/#"

    def model_state(self, model: str, replica: int = 0) -> str:
        """Retained state of one model's scaffold; of one of its replicas, counted from 1."""
        own = f"/{replica}" if replica else ""
        return f"{self.root}/models/{check_name('model', model)}/state{own}"

    @property
    def state(self) -> str:
        """Retained; the external state that the injector would add to a request now."""
        return f"{self.root}/state"

    @property
    def traces(self) -> str:
        """What each component did for a traced request, step by step."""
        return f"{self.root}/traces"

    @property
    def alarms(self) -> str:
        """Retained; the task's open alarms."""
        return f"{self.root}/alarms"

    @property
    def alarm(self) -> str:
        """Not retained; each change of one of them."""
        return f"{self.root}/alarm"

    @property
    def suggestions(self) -> str:
        """What people say that a picture shows."""
        return f"{self.root}/suggestions"

    @property
    def deadletter(self) -> str:
        """Where messages go that nobody could read."""
        return f"{self.root}/deadletter"


@dataclass(frozen=True, slots=True)
class CameraTopics:
    """Topics of one camera: what people and Home Assistant subscribe to."""

    device: NodeTopics
    camera: str

    def __post_init__(self) -> None:
        if check_name("camera", self.camera) in _RESERVED:
            raise Misuse(f"{self.camera!r} is a reserved word in the topic tree.", "Choose another camera name.")

    @property
    def root(self) -> str:
        """`roost/<node>/<camera>`."""
        return f"{self.device.root}/{self.camera}"

    @property
    def motion(self) -> str:
        """Retained: something moves, or not."""
        return f"{self.root}/motion"

    @property
    def events(self) -> str:
        """Alerts: `new`, `update`, `end`."""
        return f"{self.root}/events"

    @property
    def snapshot(self) -> str:
        """Retained small picture of the newest alert."""
        return f"{self.root}/snapshot"

    @property
    def picture(self) -> str:
        """Retained; the same picture as bare base64, for programs that want no message around it."""
        return f"{self.root}/picture"

    @property
    def status(self) -> str:
        """Retained; whether the camera works, and what it saw last."""
        return f"{self.root}/status"

    def switch_set(self, switch: str) -> str:
        """Where a switch is turned on and off."""
        return f"{self.root}/{check_name('switch', switch)}/set"

    def switch_state(self, switch: str) -> str:
        """Retained; how a switch stands."""
        return f"{self.root}/{check_name('switch', switch)}/state"


def last_level(topic: str) -> str:
    """The last level of a topic: the model of a scores topic, the requester of a results topic."""
    return topic.rsplit("/", 1)[-1]


def model_of_state_topic(topic: str) -> str:
    """The `<model>` of `…/models/<model>/state` and of `…/models/<model>/state/<replica>`."""
    levels = topic.rsplit("/", 3)
    return levels[-2] if levels[-1] == "state" else levels[-3]


def matches(topic_filter: str, topic: str) -> bool:
    """Whether an MQTT topic filter (`+`, `#`) matches a topic (MQTT 5.0 §4.7)."""
    if topic.startswith("$") and not topic_filter.startswith("$"):
        return False
    wanted = topic_filter.split("/")
    levels = topic.split("/")
    for index, level in enumerate(wanted):
        if level == "#":
            return True
        if index >= len(levels) or level not in ("+", levels[index]):
            return False
    return len(wanted) == len(levels)


def without_share(topic_filter: str) -> str:
    """The filter behind `$share/<group>/` (MQTT 5.0 §4.8.2); other filters unchanged."""
    if topic_filter.startswith("$share/"):
        return topic_filter.split("/", 2)[-1]
    return topic_filter


def share_group(topic_filter: str) -> str | None:
    """The group of a shared subscription, None for an ordinary one."""
    return topic_filter.split("/", 2)[1] if topic_filter.startswith("$share/") else None


def is_filter(text: str) -> bool:
    """Whether `text` is a legal topic filter: wildcards fill whole levels, `#` comes last (MQTT 5.0 §4.7.1)."""
    if text.startswith("$share/"):
        parts = text.split("/", 2)
        if len(parts) < 3 or not parts[1] or "+" in parts[1] or "#" in parts[1]:
            return False
        text = parts[2]
    if not text or "\0" in text or len(text.encode("utf-8", "surrogatepass")) > 65_535:
        return False
    levels = text.split("/")
    return all(level in ("+", "#") or not ("+" in level or "#" in level) for level in levels) and "#" not in levels[:-1]


def is_topic(text: str) -> bool:
    """Whether `text` can be published to: not empty, no wildcards."""
    return is_filter(text) and "+" not in text and "#" not in text


def overlap(one: str, other: str) -> bool:
    """Whether some topic matches both filters."""
    left = without_share(one).split("/")
    right = without_share(other).split("/")
    if (left[0][:1] == "$") != (right[0][:1] == "$") and (left[0] in "+#" or right[0] in "+#"):
        return False  # wildcards do not reach topics that begin with $
    for a, b in zip(left, right, strict=False):
        if a == "#" or b == "#":
            return True
        if a != b and a != "+" and b != "+":
            return False
    if len(left) == len(right):
        return True
    longer, length = (left, len(right)) if len(left) > len(right) else (right, len(left))
    return len(longer) == length + 1 and longer[-1] == "#"  # `a/#` matches `a` too
