"""How long a role waits before it starts again, counted by itself."""

from pathlib import Path

from roost_broker.clock import SECOND
from roost_edge.processes.patience import UNDER_SYSTEMD, Starts, next_start, remembered

NOW = 1_000 * SECOND


def waits(ran_s: float, times: int) -> list[float]:
    """Seconds before each of so many starts, of a process that ends after `ran_s` each time; without any jitter."""
    now, found = NOW, list[float]()
    last = next_start(None, UNDER_SYSTEMD, now, 0)
    for _ in range(times):
        now = last.started_ns + int(ran_s * SECOND)
        last = next_start(last, UNDER_SYSTEMD, now, 0)
        found.append((last.started_ns - now) / SECOND)
    return found


def test_the_first_start_waits_for_nothing() -> None:
    assert next_start(None, UNDER_SYSTEMD, NOW, 0.5) == Starts(0, NOW)


def test_one_that_ends_again_and_again_waits_twice_as_long_each_time_up_to_a_minute() -> None:
    assert waits(ran_s=5, times=11) == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60]


def test_one_that_worked_for_two_minutes_is_forgiven() -> None:
    assert waits(ran_s=120, times=3) == [0.2, 0.2, 0.2]


def test_a_start_of_another_boot_does_not_count() -> None:
    assert next_start(Starts(9, NOW + 1), UNDER_SYSTEMD, NOW, 0) == Starts(0, NOW)


def test_the_folder_remembers_from_start_to_start(tmp_path: Path) -> None:
    first = remembered(tmp_path, UNDER_SYSTEMD, NOW, 0)
    second = remembered(tmp_path, UNDER_SYSTEMD, NOW + SECOND, 0)
    assert (first.failures, second.failures) == (0, 1)
    assert second.started_ns > NOW + SECOND


def test_a_folder_that_is_no_use_costs_the_wait_alone(tmp_path: Path) -> None:
    (tmp_path / "starts.json").write_text("{half")
    assert remembered(tmp_path, UNDER_SYSTEMD, NOW, 0) == Starts(0, NOW)
    assert remembered(tmp_path / "missing", UNDER_SYSTEMD, NOW, 0) == Starts(0, NOW)
