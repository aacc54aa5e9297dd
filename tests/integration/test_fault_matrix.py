"""The fault matrix in small (V4): whatever goes wrong, every request is answered once and within its SLA.

The same stories under load and with figures: `scripts/bench faults`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from fault_world import FAULTS, play

from roost_broker.mosquitto import PrivateBroker

pytestmark = [pytest.mark.broker, pytest.mark.processes]

Run: TypeAlias = Callable[..., Any]


@pytest.mark.parametrize("name", [name for name in FAULTS if name != "none"])
def test_whatever_goes_wrong_each_request_is_answered_once_and_in_time(
    run: Run, tmp_path: Path, own_mosquitto: PrivateBroker, name: str
) -> None:
    fault = FAULTS[name]
    verdict = run(play(tmp_path, own_mosquitto, fault, rate=10, seconds=3, flood=4_000), timeout=90)
    assert (verdict.lost, verdict.doubled, verdict.too_late) == (0, 0, 0), verdict
    assert verdict.share_in_time == 1.0
    assert set(verdict.in_time) <= fault.causes
    assert verdict.asked == 30
    if fault.recovers:
        assert verdict.recovery_s is not None
        assert verdict.recovery_s <= 5
    if fault.floods:
        assert verdict.flooded >= 1_000
