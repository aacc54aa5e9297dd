"""Which messages are mirrored, in which lane, and what the centre may publish here. Pure.

A gateway subscribes to everything below its devices: MQTT filters that name the mirrored topics would overlap
(`roost/n/roles/+` and `roost/n/+/input`), and whose acknowledgement would count then? So it chooses here.
"""

from roost_broker.centre.lanes import LaneName, lane_of, node_of
from roost_broker.gateway.settings import GatewaySettings
from roost_broker.topics import is_name, is_topic, matches

_REMEMBERED = 4096


class Choice:
    """The settings' choice for the devices of one base."""

    def __init__(self, settings: GatewaySettings, *, base: str, node: str) -> None:
        self.nodes = settings.nodes or (node,)
        self._base = base
        self._lanes = frozenset(settings.lanes)
        self._leave_out = settings.leave_out
        self._down = settings.down
        self._known: dict[str, LaneName | None] = {}

    @property
    def filters(self) -> tuple[str, ...]:
        """What to subscribe to."""
        return tuple(f"{self._base}/{node}/#" for node in self.nodes)

    def lane(self, topic: str) -> LaneName | None:
        """The lane of a topic; None for what is not mirrored."""
        try:
            return self._known[topic]
        except KeyError:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            lane = self._known[topic] = self._choose(topic)
            return lane

    def node(self, topic: str) -> str:
        """The device of a mirrored topic."""
        return node_of(topic, self._base) or ""

    def may_come_down(self, topic: str) -> bool:
        """Whether the centre may publish to this topic."""
        node = node_of(topic, self._base)
        if node is None or not is_topic(topic) or not is_name(node):
            return False
        if self.nodes != ("+",) and node not in self.nodes:
            return False
        rest = topic[len(self._base) + len(node) + 2 :]
        return any(matches(one, rest) for one in self._down)

    def _choose(self, topic: str) -> LaneName | None:
        lane = lane_of(topic, self._base)
        node = node_of(topic, self._base)
        if lane is None or lane not in self._lanes or node is None or not is_name(node):
            return None
        rest = topic[len(self._base) + len(node) + 2 :]
        return None if any(matches(one, rest) for one in self._leave_out) else lane
