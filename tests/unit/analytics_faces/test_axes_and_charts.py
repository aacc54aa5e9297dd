"""Scales with round ticks, and drawings that a strict policy lets stand."""

import re
from datetime import UTC

import pytest
from faces_samples import HOUR, START, durations, episode, histogram

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.alarms.episode import Marker
from roost_rendezvous.analytics.faces.axes import Linear, Log, Times, milliseconds, per_cent
from roost_rendezvous.analytics.faces.latency import latency_plot
from roost_rendezvous.analytics.faces.plots import alarms_plot, bands_plot, qq_plot, rates_plot
from roost_rendezvous.analytics.faces.slow import slow_group
from roost_rendezvous.analytics.faces.values import Band, Bands, Histogram, Rate, Rates

END = START + 48 * HOUR


def test_ticks_are_round_and_rise() -> None:
    assert [tick.text for tick in Linear(0, 93).ticks()] == ["0", "20", "40", "60", "80", "100"]
    assert [tick.text for tick in Log(1, 1000, text=milliseconds).ticks()] == [
        *("1 ms", "3 ms", "10 ms", "30 ms", "100 ms", "300 ms", "1 s")
    ]
    places = [tick.place for tick in Times(START, END, UTC).ticks()]
    assert places == sorted(places)
    assert 3 <= len(places) <= 7


@pytest.mark.parametrize(
    ("share", "said"), [(0, "0 %"), (1, "100 %"), (0.9996, "99.96 %"), (0.012, "1.2 %"), (0.5, "50 %")]
)
def test_what_is_not_quite_everything_is_not_said_to_be(share: float, said: str) -> None:
    assert per_cent(share) == said


def test_an_axis_of_one_value_is_still_an_axis() -> None:
    assert Linear(5, 5).at(5) == pytest.approx(0.5)
    assert len(Log(3, 3).ticks()) <= 1


def test_a_histogram_that_is_none_is_refused() -> None:
    with pytest.raises(Misuse):
        Histogram(edges=(1, 2, 2), counts=(1, 1))
    with pytest.raises(Misuse):
        Histogram(edges=(1, 2), counts=(-1,))


def rates(*seen: float) -> Rates:
    periods = [
        Rate(start=START + nth * HOUR, end=START + (nth + 1) * HOUR, seen=one, expected=50, low=40, high=60)
        for nth, one in enumerate(seen)
    ]
    return Rates(name="requests", periods=tuple(periods))


def drawings() -> dict[str, str]:
    now = histogram(durations(1, 5_000, spread=0.15, slow=0.02))
    band = Band(at=START + HOUR, count=9, low=0.1, quarter=0.3, half=0.5, three=0.6, high=0.9)
    later = Band(at=START + 40 * HOUR, count=9, low=0.1, quarter=0.3, half=0.5, three=0.6, high=0.9)
    marks = [Marker(at=START + 3 * HOUR, text="<b>champion</b> 4 came")]
    return {
        "latency": latency_plot(now, of="henhouse", slow=slow_group(now), deadline_ms=2_000),
        "rates": rates_plot(rates(50, 20, 55), START, END, UTC, marks=marks),
        "bands": bands_plot(Bands(name="Score of hen", periods=(band, later)), START, END, UTC, marks=marks),
        "alarms": alarms_plot([episode(), episode(2, began=1, ended=5, verdict="world")], START, END, UTC, marks=marks),
        "qq": qq_plot([(0, 0), (0.5, 0.4), (1, 1)], first="champion 3", second="champion 4"),
    }


@pytest.mark.parametrize("name", ["latency", "rates", "bands", "alarms", "qq"])
def test_every_plot_says_what_to_see_and_how_to_read_it(name: str) -> None:
    drawn = drawings()[name]
    said = re.search(r"<figcaption><strong>(.+?)</strong> <span>(.+?)</span></figcaption>", drawn)
    assert said is not None
    assert len(said[2].split()) > 15
    assert 'role="img"' in drawn


@pytest.mark.parametrize("name", ["latency", "rates", "bands", "alarms", "qq"])
def test_no_plot_needs_a_script_or_a_style_of_its_own(name: str) -> None:
    drawn = drawings()[name]
    assert not re.search(r"<script|<style| style=| on[a-z]+=|href=", drawn)
    assert "<b>champion</b>" not in drawn


def test_the_title_counts_what_is_outside() -> None:
    assert "1 of 3 hours with requests lie outside" in rates_plot(rates(50, 20, 55), START, END, UTC)
    assert "All hours with requests lie inside" in rates_plot(rates(50, 55), START, END, UTC)


def test_the_slow_group_stands_in_the_title_and_in_the_plot() -> None:
    drawn = drawings()["latency"]
    share = re.search(r"<strong>([0-9.]+) % of the answers of henhouse are about [0-9.]+ times as slow", drawn)
    assert share is not None
    assert float(share[1]) == pytest.approx(2, abs=0.5)
    assert f"{share[1]} % slow</text>" in drawn


def test_a_gap_breaks_the_line() -> None:
    times = [START + nth * HOUR for nth in (0, 1, 2, 3, 20, 21, 22)]
    found = [Band(at=at, count=1, low=0, quarter=0.2, half=0.3, three=0.4, high=1) for at in times]
    drawn = bands_plot(Bands(name="x", periods=tuple(found)), START, END, UTC)
    assert len(re.findall(r'class="line now"', drawn.split('class="legend"')[0])) == 2


def test_a_single_period_is_drawn_where_a_line_would_need_two() -> None:
    lone = Band(at=START + HOUR, count=9, low=0.1, quarter=0.3, half=0.5, three=0.6, high=0.9)
    drawn = bands_plot(Bands(name="x", periods=(lone,)), START, END, UTC).split('class="legend"')[0]
    assert drawn.count('class="area band"') == drawn.count('class="area band-wide"') == 1
    assert drawn.count('class="dot now"') == 1
    one = Rate(start=START, end=START + HOUR, seen=50)
    assert "the only period with any" in rates_plot(Rates(name="requests", periods=(one,)), START, END, UTC)
    two = (one, Rate(start=START + HOUR, end=START + 2 * HOUR, seen=40))
    assert "the only period with any" not in rates_plot(Rates(name="requests", periods=two), START, END, UTC)


def test_nothing_to_draw_is_said() -> None:
    assert "No requests in this time" in rates_plot(Rates(name="requests"), START, END, UTC)
    assert "No alarm in this time" in alarms_plot([], START, END, UTC)
