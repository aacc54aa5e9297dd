"""A schedule as a small picture for a terminal: who may answer when. People would rather look than read. Pure.

               0           600         1200           1900 2000 ms
    champion   ████████████████████████████████████████   │
    fast       ············████████████████████████████   │
    any other  ························████████████████   │
    canary     ········································   │  never official
    default    ········································◆ unknown

Times are to scale. The last column is the SLA; a model may answer where its bar is full.
"""

from roost_rendezvous.schedule import ANY, Schedule

WIDTH = 60
_MAY, _NOT_YET, _DEFAULT, _SLA = "█", "·", "◆", "│"


def draw(schedule: Schedule, *, width: int = WIDTH) -> list[str]:
    """The lines of the picture; `width` columns (at least 20) from the request to the SLA."""
    width = max(20, width)
    end = _column(schedule.default.after_ms, schedule.sla_ms, width)
    begins = _begins(schedule)
    for name in schedule.ignore:
        begins.setdefault(name, None)
    shown = {name: "any other" if name == ANY else name for name in begins}
    pad = max(len(text) for text in (*shown.values(), "default"))
    lines = [f"{'':{pad}}  {_axis(schedule, width)}"]
    for name, after_ms in begins.items():
        if after_ms is None:
            bar = _NOT_YET * end
            note = "  never official"
        else:
            start = _column(after_ms, schedule.sla_ms, width)
            bar = _NOT_YET * start + _MAY * max(1, end - start)
            note = _note(schedule, name)
        lines.append(f"{shown[name]:{pad}}  {bar:{width}}{_SLA}{note}".rstrip())
    label = f"{_NOT_YET * end}{_DEFAULT} {schedule.default.label}"
    lines.append(f"{'default':{pad}}  {label}")
    return lines


def _begins(schedule: Schedule) -> dict[str, int | None]:
    """From when each name may be official, most preferred first; `*` last, None = never."""
    begins: dict[str, int | None] = {}
    for step in schedule.steps:
        for name in step.accept:
            begins.setdefault(name, step.after_ms)
    if ANY in begins:
        others = begins.pop(ANY)
        begins[ANY] = others
    for name in (*schedule.rollout, *schedule.random):
        begins.setdefault(name, 0)
    return begins


def _note(schedule: Schedule, name: str) -> str:
    """What the bar does not show."""
    notes = []
    if name in schedule.rollout:
        notes.append(f"alone at first for {schedule.rollout[name]:.3g} of the {schedule.cohort_tag} values")
    if name in schedule.random:
        notes.append(f"alone at first with chance {schedule.random[name]:.3g}")
    if name in schedule.quorum:
        quorum = schedule.quorum[name]
        notes.append(f"{quorum.votes} of {', '.join(quorum.members)}")
    if name in schedule.sample:
        notes.append(f"asked for {schedule.sample[name]:.3g} of the requests")
    return f"  {'; '.join(notes)}" if notes else ""


def _axis(schedule: Schedule, width: int) -> str:
    """The times of the steps, of the default and of the SLA; one that has no room is left out."""
    line = ""
    for time in (*(step.after_ms for step in schedule.steps), schedule.default.after_ms):
        column = _column(time, schedule.sla_ms, width)
        if column >= len(line) + (1 if line else 0):
            line = line.ljust(column) + str(time)
    return f"{line:{width}} {schedule.sla_ms} ms"


def _column(time_ms: int, sla_ms: int, width: int) -> int:
    return round(time_ms * width / sla_ms)
