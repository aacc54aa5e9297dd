"""What the monitor's watch costs: memory, import, time an event and stream, a journal read again, an idle stream (G18,
X7).

Each figure is taken in a process of its own that imports what a monitor imports and nothing else.
"""

import json
import os
import subprocess
import sys
from typing import Any

from analytics_figures import Figure

_SECOND = 1_000_000_000
_LABELS = tuple(f"label-{number}" for number in range(7))
_MODELS = ("champion", "fast", "rules", "canary")


def measure(quick: bool) -> list[Figure]:
    """The figures of this room."""
    rows = 1_100 if quick else 4_000
    found = {what: _apart(what, rows) for what in ("import", "events", "idle")}
    seconds, before_mb = found["import"]
    per_event, learning, look_ms, streams, rss_mb, again_s = found["events"]
    per_stream, many = found["idle"]
    return [
        Figure(
            "G18 import",
            "≤ 0.5 s",
            f"{seconds:.2f} s",
            seconds <= 0.5,
            note="numpy included, cold process; processor time, so that other work on the machine does not count",
        ),
        Figure(
            "G18 memory",
            "≤ 60 MB RSS",
            f"{rss_mb:.0f} MB with {streams:.0f} streams after {rows} rows",
            rss_mb <= 60,
            beside=f"the same process before its first row: {before_mb:.0f} MB",
        ),
        Figure(
            "G18 event",
            "≤ 10 µs per event and stream",
            f"{per_event:.1f} µs (after {rows} rows, {streams:.0f} streams, one request a second)",
            per_event <= 10,
            beside=f"{learning:.1f} µs over the first {rows} rows, while cuts and clusters are chosen",
            note="joining, all detectors, windows and looks; processor time",
        ),
        Figure(
            "G18 journal",
            "none; a monitor that was killed reads at most 20,000 messages again",
            f"{again_s:.1f} s for 20,000 messages",
            None,
            note="unpacked and handled once more, by the same watch; processor time",
        ),
        Figure(
            "G18 look",
            "none; once a minute",
            f"{look_ms:.1f} ms for {streams:.0f} streams",
            None,
            note="all detectors asked, the alarms judged; processor time",
        ),
        Figure(
            "G18 idle",
            "≤ 20 kB per idle stream",
            f"{per_stream:.1f} kB ({many:.0f} streams)",
            per_stream <= 20,
            note="streams that have learnt, then rest; all detectors and their rows in the alarms",
        ),
        Figure("X7 streams", "1,000 streams", f"{many:.0f}", many >= 1_000),
    ]


def _apart(what: str, rows: int) -> list[float]:
    """Run one part in a fresh process; it prints its numbers as JSON."""
    done = subprocess.run(
        [sys.executable, __file__, what, str(rows)], check=True, capture_output=True, text=True, timeout=3_600
    )
    numbers: list[float] = json.loads(done.stdout.splitlines()[-1])
    return numbers


def _rss_mb() -> float:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123  # a pseudo-file of the kernel
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _import() -> list[float]:
    import time

    began = time.process_time()
    from roost_rendezvous.analytics.watch.watching import Watching
    from roost_rendezvous.analytics.watch.windowing import Windowing

    took = time.process_time() - began
    Watching(windows=Windowing())
    return [took, _rss_mb()]


def _events(rows: int) -> list[float]:
    import random
    import time

    from roost_rendezvous.analytics.watch.observed import pack, unpack
    from roost_rendezvous.analytics.watch.watching import Watching
    from roost_rendezvous.analytics.watch.windowing import Windowing

    chance, watch = random.Random(1), Watching(windows=Windowing())
    at, timed, took = 1_800_000_000 * _SECOND, 300, [0.0, 0.0]
    for number in range(rows + timed):
        at += _SECOND
        heard = _heard(number, at, chance)  # not all beforehand: they would count as the watch's memory
        began = time.process_time()
        for one in heard:
            watch.handle(one)
        took[number >= rows] += time.process_time() - began
        watch.take_rows()  # as the monitor does, which writes them down
        watch.take_closed()
    streams = len(watch.standing().signals)
    each = [seconds / count / streams * 1e6 for seconds, count in zip(took, (rows, timed), strict=True)]
    rss_mb = _rss_mb()
    began = time.process_time()
    watch.expire(at + 70 * _SECOND)
    look_ms = (time.process_time() - began) * 1e3
    journal = [
        pack(one) for number in range(timed) for one in _heard(rows + timed + number, at + number * _SECOND, chance)
    ]
    began = time.process_time()
    for line in journal:
        watch.handle(unpack(line))
    again_s = (time.process_time() - began) / len(journal) * 20_000
    return [each[1], each[0], look_ms, float(streams), rss_mb, again_s]


def _heard(number: int, at: int, chance: Any) -> list[Any]:
    """All that is heard of one request."""
    from roost_rendezvous.analytics.watch.observed import Asked, Decided, Observed, Said, Told

    request, tags = f"{number:032x}", {"camera": "nest"}
    frame = {"frame.bytes": chance.gauss(48_000, 2_000), "picture.sharpness": chance.gauss(8, 1)}
    heard: list[Observed] = [Asked(at, request + "a", "t", request, at, "", 0, 2_000, 1, tags, frame, {"door": "open"})]
    told = []
    for model in _MODELS:
        scores = {label: chance.random() for label in _LABELS}
        heard.append(Said(at, request + model, "t", request, at, model, "1", scores, 9.0, 1, "", ""))
        told.append(Told(model, "1", "answered", chance.lognormvariate(3, 0.2), "", False))
    answer = ("champion", _LABELS[number % 7], 0.5)
    timing = (50.0, 2_000, False, "", None, "1")
    heard.append(Decided(at, request + "r", "t", request, at, *answer, "preferred", *timing, tuple(told), tags))
    return heard


def _idle() -> list[float]:
    from roost_rendezvous.analytics.watch.observed import Traced
    from roost_rendezvous.analytics.watch.settings import AnalyticsSettings
    from roost_rendezvous.analytics.watch.watching import Watching

    watch, at = Watching(AnalyticsSettings(streams=1_000)), 1_800_000_000 * _SECOND
    names = [f"model m{number}" for number in range(1_000)]
    watch.handle(Traced(at, "0", "t", "1", names[0], {"evaluate": 1.0}))
    before = _rss_mb()
    for turn in range(40):
        for number, name in enumerate(names):
            watch.handle(Traced(at + turn, f"{number}", "t", "1", name, {"evaluate": float(turn % 7)}))
    watch.expire(at + 120 * _SECOND)
    return [(_rss_mb() - before) * 1_000 / len(names), float(len(watch.standing().signals))]


if __name__ == "__main__":
    parts = {"import": _import, "events": lambda: _events(int(sys.argv[2])), "idle": _idle}
    print(json.dumps(parts[sys.argv[1]]()))
