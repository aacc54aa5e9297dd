"""Inputs, streams and capacity (M7, M11, M12, C3): planted cases, how often they are found, and what is found in vain.

The dummy beside leave-one-out is what people do without it: the correlation of each variable with the score, dead
where it is not significant. It misses what works only together, and calls dead what is not linear.
"""

import random
import time
from collections.abc import Mapping, Sequence

import numpy as np
from analytics_figures import Figure

from roost_broker.access_rules import Rights, read, write
from roost_broker.catalogue import topic_catalogue
from roost_rendezvous.analytics.features.capacity import capacity
from roost_rendezvous.analytics.features.collinear import collinearity
from roost_rendezvous.analytics.features.leave_out import LeaveOutSettings, leave_one_out
from roost_rendezvous.analytics.features.streams import Subscription, report, streams
from roost_rendezvous.analytics.features.values import Inputs, Value
from roost_rendezvous.analytics.rows import Row, Word

_LIVE = ("strong", "weak", "door", "a", "b", "bent")
_DEAD = ("dead_number", "dead_word")
_PAIRS = ({"strong", "copy"}, {"door", "switch"}, {"weak", "stretched"})


def measure(quick: bool) -> list[Figure]:
    """See the module."""
    return [
        *_leave_out(10 if quick else 60),
        *_collinear(20 if quick else 200),
        *_streams(),
        *_capacity(5 if quick else 40),
    ]


def _table(seed: int, count: int = 400) -> list[dict[str, Value]]:
    draw = random.Random(seed)
    found: list[dict[str, Value]] = []
    for _ in range(count):
        strong, weak, opened = draw.gauss(0, 1), draw.gauss(0, 1), draw.random() < 0.4
        found.append(
            {
                "strong": strong,
                "copy": 2 * strong - 1 + draw.gauss(0, 0.2),
                "weak": weak,
                "stretched": float(np.exp(2 * weak)),
                "door": "open" if opened else "shut",
                "switch": opened,
                "a": draw.random() < 0.5,
                "b": draw.random() < 0.5,
                "bent": draw.uniform(-1, 1),
                "dead_number": draw.gauss(0, 1),
                "dead_word": draw.choice(("north", "south", "east")),
            }
        )
    return found


def _model(rows: Sequence[Inputs]) -> list[Mapping[str, float]]:
    found = []
    for row in rows:
        score = 0.5 + 0.1 * _number(row, "strong") + 0.005 * _number(row, "weak") + 0.05 * (row.get("door") == "open")
        score += 0.05 * (row.get("a") != row.get("b")) + 0.05 * _number(row, "bent") ** 2
        found.append({"hen": score, "nothing": 1 - score})
    return found


def _number(row: Inputs, name: str) -> float:
    value = row.get(name)
    return float(value) if isinstance(value, (int, float)) else 0.0


def _dummy(rows: Sequence[Inputs]) -> set[str]:
    """Names whose correlation with the score is not significant at 5 %."""
    scores = np.array([one["hen"] for one in _model(rows)])
    found = set()
    for name in rows[0]:
        words = sorted({str(row[name]) for row in rows})
        values = np.array([float(words.index(row[name])) if row[name] in words else _number(row, name) for row in rows])
        if abs(np.corrcoef(values, scores)[0, 1]) * len(rows) ** 0.5 < 1.96:
            found.add(name)
    return found


def _leave_out(seeds: int) -> list[Figure]:
    right, wrong, dummy_right, dummy_wrong, took = 0, 0, 0, 0, 0.0
    for seed in range(seeds):
        rows = _table(seed)
        started = time.perf_counter()
        dead = set(leave_one_out(_model, rows, LeaveOutSettings(rows=400)).dead)
        took += time.perf_counter() - started
        unused = {*_DEAD, "copy", "stretched", "switch"}
        right += unused <= dead
        wrong += bool(dead & set(_LIVE))
        dummy = _dummy(rows)
        dummy_right += set(_DEAD) <= dummy
        dummy_wrong += bool(dummy & set(_LIVE))
    return [
        Figure(
            "M11 dead",
            "dead variables found in 100 % of planted cases, none called dead that is used",
            f"{right} of {seeds} cases complete; in {wrong} a live one called dead; {took / seeds:.2f} s a case",
            right == seeds and wrong == 0,
            f"correlation with the score: {dummy_right} of {seeds} complete, in {dummy_wrong} a live one called dead",
            "11 variables, 400 rows; five unused, three of them copies of used ones",
        )
    ]


def _collinear(seeds: int) -> list[Figure]:
    found, vain, dummy, took = 0, 0, 0, 0.0
    for seed in range(seeds):
        rows = _table(seed)
        started = time.perf_counter()
        pairs = [{one.one.split("=")[0], one.other.split("=")[0]} for one in collinearity(rows).pairs]
        took += time.perf_counter() - started
        found += all(wanted in pairs for wanted in _PAIRS)
        vain += any(pair not in _PAIRS for pair in pairs)
        strong, copy, weak, bent = (
            np.array([_number(row, name) for row in rows]) for name in ("strong", "copy", "weak", "stretched")
        )
        dummy += abs(np.corrcoef(strong, copy)[0, 1]) > 0.95 and abs(np.corrcoef(weak, bent)[0, 1]) > 0.95
    return [
        Figure(
            "M11 pairs",
            "pairs with r > 0.95 found in 100 % of planted cases",
            f"{found} of {seeds} cases complete, {vain} with a pair too many; {took / seeds * 1_000:.0f} ms a case",
            found == seeds and vain == 0,
            f"r of numbers alone: {dummy} of {seeds} complete (misses the bent copy and cannot take words)",
            "a straight copy, a bent one (by ranks), a word and a switch",
        )
    ]


def _streams() -> list[Figure]:
    rights: Rights = {
        "injector": (*read("roost/n/t/raw"), *write("roost/n/t/input")),
        "model": (*read("roost/n/t/input"), *write("roost/n/t/scores/hen")),
        "rendezvous": (*read("roost/n/t/input", "roost/n/t/scores/+"), *write("roost/n/t/results/+")),
    }
    levels = {"<node>": ("n",), "<task>": ("t",), "<model>/t": ("hen",)}
    found = streams(topic_catalogue(), "roost", levels, rights, lambda _: False)
    topics = [stream.topic for stream in found]
    named = missed = vain = 0
    for topic in topics:
        for user in ("eve", *rights):
            said = report("n", found, rights, [Subscription(client=user, user=user, topic=topic)]).findings
            may = any("read" in grant.access and grant.topic == topic for grant in rights.get(user, ()))
            may = may or (user == "rendezvous" and topic.startswith("roost/n/t/scores/"))
            named += not may and bool(said)
            missed += not may and not said
            vain += may and bool(said)
    return [
        Figure(
            "M12 readers",
            "every undeclared reader of every stream is named, no declared one",
            f"{named} named, {missed} missed, {vain} in vain, of {len(topics)} streams × {1 + len(rights)} users",
            missed == vain == 0,
            "without rights: all read along, and nobody knows",
            "what the broker does with them is tested against a real one: it grants, and hands over nothing",
        )
    ]


def _rows(seed: int, ratio: float) -> list[Row]:
    draw = random.Random(seed)
    found, begin = [], 10**18
    for number in range(300):
        words = (Word(model="heavy", elapsed_ms=300, compute_ms=300),)
        found.append(Row(request_id=f"d{number}", task="door", at=begin + number * 10**9, words=words))
    for number in range(1_500):
        at = begin + number * 197_000_000
        beside = (at - begin) % 10**9 < 290_000_000
        took = draw.lognormvariate(0, 0.4) * 10 * (ratio if beside else 1)
        words = (Word(model="champion", elapsed_ms=took, compute_ms=took),)
        found.append(Row(request_id=f"n{number}", task="nest", at=at, words=words))
    return found


def _capacity(seeds: int) -> list[Figure]:
    named = sum(
        any(one.beside == "door/heavy" for one in capacity(_rows(seed, 1.3)).neighbours) for seed in range(seeds)
    )
    vain = sum(bool(capacity(_rows(seed, 1.0)).neighbours) for seed in range(4 * seeds))
    rows = [
        Row(
            request_id=str(number),
            task="nest",
            at=10**18 + number * 50_000_000,
            words=(Word(model="m", elapsed_ms=20, compute_ms=20),),
        )
        for number in range(5_000)
    ]
    started = time.perf_counter()
    load = capacity(rows).loads[0]
    took = (time.perf_counter() - started) / len(rows) * 1e6
    room = load.head_room or 0
    return [
        Figure(
            "M7 head-room",
            "head-room of a model that is 40 % busy: 2.5",
            f"{room:.2f}; {took:.1f} µs a row",
            abs(room - 2.5) < 0.05,
            "requests / s alone says nothing of it",
        ),
        Figure(
            "M7 neighbour",
            "a neighbour that makes a model 1.3 × as slow is named",
            f"{named} of {seeds} found; {vain} of {4 * seeds} quiet ones blamed",
            named == seeds and vain == 0,
            "latency alone shows that it became slower, not beside whom",
            "a model that scatters by 40 %, 1,500 computations",
        ),
    ]
