"""What `roost alarms` and `roost report` ask a device's monitor."""

from typing import TYPE_CHECKING, Any

from roost_edge.alarm_desk import KNOWN, VERB, Answer, episode_of, read
from roost_edge.cli.operator import with_broker

if TYPE_CHECKING:
    from roost_edge.settings.device import Settings
    from roost_rendezvous.analytics.alarms.episode import Episode
    from roost_rendezvous.analytics.alarms.standing import SignalStanding


def ask(device: "Settings", timeout_s: float, *, task: str = "", standing: bool = True) -> Answer:
    """The monitor's answer. Raises `PeerError` when none comes."""
    from roost_edge.desk import asking

    data: dict[str, Any] = {"task": task} if task else {}
    if standing:
        data["standing"] = True
    reply = with_broker(
        device, lambda bus: asking.ask(bus, device.topics, VERB, data, timeout_s), work_s=timeout_s + 1.0
    )
    return read(reply.data)


def acknowledge(device: "Settings", alarm: str, by: str, timeout_s: float) -> dict[str, Any]:
    """Tell the monitor that somebody knows of an alarm. Raises `PeerError`."""
    from roost_edge.desk import asking

    data = {"alarm": alarm, "by": by}
    reply = with_broker(
        device, lambda bus: asking.ask(bus, device.topics, KNOWN, data, timeout_s), work_s=timeout_s + 1.0
    )
    return reply.data


def ask_monitor(device: "Settings", timeout_s: float) -> "tuple[tuple[Episode, ...], tuple[SignalStanding, ...], str]":
    """Alarms, everything that is watched, and what mended itself in words, for a report. Raises `PeerError`."""
    from roost_rendezvous.analytics.faces import telling
    from roost_rendezvous.monitor.standing_answer import heard

    answer = ask(device, timeout_s)
    return tuple(map(episode_of, answer.alarms)), heard(answer.standing), telling.mended(answer.mended)
