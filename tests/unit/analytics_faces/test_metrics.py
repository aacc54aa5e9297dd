"""OpenMetrics as text and as Prometheus' protobuf; both bounded, whatever names come."""

import math
import re
import shutil
import subprocess
from typing import Any

import pytest

from roost_rendezvous.analytics.faces import openmetrics, protobuf
from roost_rendezvous.analytics.faces.exponential import MOST as MOST_BINS
from roost_rendezvous.analytics.faces.exponential import Exponential, border
from roost_rendezvous.analytics.faces.metrics import MOST, OTHERS, Counted, Family, Timed, gauge

PROMETHEUS = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
    "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)


def families() -> list[Family]:
    counted = Counted("roost_results", 'How "they" came\nabout.', "task", "cause")
    counted.add('hen "house"\n\\', "preferred", by=3)
    timed = Timed("roost_result_duration_seconds", "How long.", "task")
    for ms in (5, 50, 50, 51, 500):
        timed.add(ms / 1000, "nest")
    ready = gauge("roost_model_ready", "Whether.", ("model",), [(("a",), 1), (("b",), 0)])
    build = Family(name="roost_build", kind="info", help="What.", labels=("version",), samples=((("1",), 1.0),))
    return [counted.told(), timed.told(), ready, build]


def test_the_text_has_types_units_totals_and_an_end() -> None:
    text = openmetrics.render(families())
    assert 'roost_results_total{task="hen \\"house\\"\\n\\\\",cause="preferred"} 3.0\n' in text
    assert "# UNIT roost_result_duration_seconds seconds\n" in text
    assert 'roost_build_info{version="1"} 1.0\n' in text
    assert text.endswith("\n# EOF\n")
    assert "# EOF" not in openmetrics.render(families(), old=True)


def test_classic_buckets_grow_to_the_count() -> None:
    text = openmetrics.render(families())
    counts = [int(one) for one in re.findall(r"_bucket\{.*?\} (\d+)", text)]
    assert counts == sorted(counts)
    assert counts[-1] == 5
    assert 'le="+Inf"} 5' in text
    assert 'roost_result_duration_seconds_sum{task="nest"} 0.656' in text


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Prometheus' own checker is not installed")
def test_prometheus_own_checker_has_nothing_to_say() -> None:
    text = openmetrics.render(families(), old=True)
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_prometheus_own_client_reads_the_same_values() -> None:
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    found = {one.name: one for one in parser.text_string_to_metric_families(openmetrics.render(families()))}
    assert found["roost_results"].samples[0].labels["task"] == 'hen "house"\n\\'
    assert found["roost_result_duration_seconds"].type == "histogram"


def message(data: bytes) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for number, value in protobuf.fields(data):
        found.setdefault(number, []).append(value)
    return found


def delimited(data: bytes) -> list[dict[int, list[Any]]]:
    # Each with its length before it is what a field without a tag would be: put one there, and read them as fields.
    found, at = [], 0
    while at < len(data):
        length = shift = 0
        while True:
            byte = data[at]
            length |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                break
        found.append(message(data[at : at + length]))
        at += length
    return found


def signed(value: int) -> int:
    return (value >> 1) ^ -(value & 1)


def test_the_protobuf_form_carries_native_buckets_that_add_up() -> None:
    histogram = next(one for one in delimited(protobuf.render(families())) if one[3] == [4])
    assert histogram[1] == [b"roost_result_duration_seconds"]
    found = message(message(histogram[4][0])[7][0])
    assert (found[1], signed(found[5][0])) == ([5], 4)
    spans = [message(one) for one in found[12]]
    deltas = [signed(one) for one in found[13]]
    index, before, counts = 0, 0, {}
    for span in spans:
        index += signed(span[1][0])
        for _ in range(span[2][0]):
            before += deltas[len(counts)]
            counts[index] = before
            index += 1
    assert sum(counts.values()) == 5
    assert len(deltas) == sum(span[2][0] for span in spans)
    filled = [(border(index - 1), border(index)) for index, count in counts.items() for _ in range(count)]
    for (low, high), seconds in zip(filled, (0.005, 0.05, 0.05, 0.051, 0.5), strict=True):
        assert low < seconds <= high


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (PROMETHEUS, True),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", False),
        ("text/plain;q=0.9,application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;q=0.3", False),
        ("application/vnd.google.protobuf;proto=somebody.else;encoding=delimited", False),
        ("application/vnd.google.protobuf;q=nonsense", False),
        ("", False),
    ],
)
def test_the_protobuf_form_is_given_to_who_prefers_it(accept: str, wanted: bool) -> None:
    assert protobuf.asked(accept) is wanted


def test_names_that_somebody_makes_up_cannot_fill_a_database() -> None:
    counted = Counted("c", "C.", "label")
    for nth in range(3 * MOST):
        counted.add(f"made up {nth}")
    told = counted.told()
    assert len(told.samples) == MOST + 1
    assert dict(told.samples)[(OTHERS,)] == 2 * MOST
    assert len(gauge("g", "G.", ("x",), [((str(nth),), nth) for nth in range(3 * MOST)]).samples) == MOST


def test_durations_of_every_size_fall_into_the_right_bin_and_take_no_more_room() -> None:
    found = Exponential()
    for nth in range(-30_000, 30_000):
        seconds = 2.0 ** (nth / 1_000)
        found.add(seconds)
    for seconds in (math.nan, -1.0, math.inf):
        found.add(seconds)
    assert found.count == 60_000
    assert len(found.bins) <= MOST_BINS
    one = Exponential()
    one.add(border(7))
    assert list(one.bins) == [7]
    one.add(math.nextafter(border(7), 1e9))
    assert sorted(one.bins) == [7, 8]
