"""What the monitor finds strange, and what it watches: alarms on a line of time, in words, and all signals. Pure."""

from collections.abc import Mapping
from datetime import tzinfo

from roost_broker.clock import MS
from roost_broker.messages import Alarms
from roost_edge.alarm_desk import Answer, catching_up, episode_of
from roost_edge.page.views.frame import Frame, may_not, token
from roost_edge.page.views.markup import Html, badge, breakable, cut, el, joined
from roost_edge.page.wellness import learning
from roost_rendezvous.analytics.alarms.episode import Episode, Marker
from roost_rendezvous.analytics.faces import telling
from roost_rendezvous.analytics.faces.plots import alarms_plot
from roost_rendezvous.analytics.faces.standing import standing_table
from roost_rendezvous.monitor.standing_answer import heard

_DAY_MS = 86_400_000
_SHOWN = 20
_SIGNALS = 5
_GRADES = {"open": "bad", "acknowledged": "warn", "ended": "off"}


def alarms(frame: Frame, lists: Mapping[str, Alarms], said: Answer | None, now_ms: int, zone: tzinfo | None) -> Html:
    """The open ones from what is retained; with the monitor's answer the past ones too."""
    found = {one.alarm_id: episode_of(one) for one in (said.alarms if said is not None else ())}
    found |= {one.alarm_id: episode_of(one) for task in lists.values() for one in task.open}
    if not lists and said is None:
        return joined(
            el("h2", "Alarms"),
            el(
                "p",
                "The monitor has said nothing yet. It is the role `monitor`; with [analytics] off it watches nothing.",
                class_="none",
            ),
        )
    episodes = sorted(found.values(), key=lambda one: (one.state != "open", one.state == "ended", -one.opened))[:_SHOWN]
    start = min([now_ms - 7 * _DAY_MS, *(one.opened // MS for one in episodes)]) * MS
    marks = {(mark.at, mark.text): Marker(at=mark.at, text=mark.text) for one in episodes for mark in one.markers}
    waits = catching_up(said) if said is not None else ""
    nothing_yet = None if episodes else _learning(lists)
    return joined(
        el("h2", "Alarms"),
        el("p", waits, class_="note") if waits else None,
        nothing_yet,
        alarms_plot(episodes, start, now_ms * MS, zone, marks=list(marks.values())) if nothing_yet is None else None,
        el("ol", (_episode(frame, one, zone) for one in episodes), class_="races") if episodes else None,
        may_not(frame) if any(one.state == "open" for one in episodes) and not frame.form else None,
        _able(lists, why_not=nothing_yet is None),
    )


def _learning(lists: Mapping[str, Alarms]) -> Html | None:
    """Said plainly while nothing could be an alarm yet: "no alarm" would say that all is as usual."""
    if not learning(lists):
        return None
    reasons = sorted({cut(said.why_not, 160) for said in lists.values() if said.why_not})
    why = f" ({'; '.join(reasons)})" if reasons else ""
    return joined(
        el("p", el("strong", "There can be no alarm yet.")),
        el("p", f"The monitor still learns what is usual here{why}. Until then nobody is told of anything strange."),
    )


def watched(said: Answer | None, problem: str, zone: tzinfo | None) -> Html:
    """Normal, now and how strange, of data and of operation."""
    if said is None:
        return el("p", f"Not known at the moment: {problem}", class_="none")
    if not said.standing:
        return el("p", cut(said.why_not, 200) or "Nothing is watched yet.", class_="none")
    shown = standing_table(heard(said.standing), zone)
    more = said.signals - len(said.standing)
    how = "they are as usual" if said.able >= said.signals else "usual, or not known for long enough"
    note = el("p", f"{more:,} more signals are watched; {how}.", class_="note") if more > 0 else None
    return joined(shown, note)


def _episode(frame: Frame, one: Episode, zone: tzinfo | None) -> Html:
    head, sentence, *rest = telling.episode(one, zone)
    know = None
    if one.state == "open" and frame.form:
        know = el(
            "form",
            token(frame),
            el("input", type="hidden", name="alarm", value=one.id),
            el("button", "This is normal now", class_="quiet"),
            method="post",
            action="/alarms",
        )
    return el(
        "li",
        badge(_GRADES[one.state], one.state),
        " ",
        el("strong", breakable(cut(sentence, 240))),
        el("br"),
        el("span", cut(head.split("  ", 2)[-1], 120), class_="dim"),
        el("ul", (el("li", breakable(cut(line.strip(), 240))) for line in rest[: _SIGNALS + 4])) if rest else None,
        know,
        id=f"alarm-{one.id}",
    )


def _able(lists: Mapping[str, Alarms], *, why_not: bool) -> Html:
    """Whether there can be an alarm at all; `why_not` where it is not said above."""
    lines = {
        task or "The device": f"{said.able:,} of {said.signals:,} watched signals have enough history for an alarm."
        + (f" {cut(said.why_not, 160)}" if why_not and said.why_not else "")
        for task, said in sorted(lists.items())
        if said.signals
    }
    if len(set(lines.values())) == 1:  # they all say the same: so it is said once
        return el("p", next(iter(lines.values())), class_="note")
    return joined(*(el("p", f"{whose}: {line}", class_="note") for whose, line in lines.items()))
