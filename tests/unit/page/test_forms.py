"""What comes in with a request."""

from datetime import UTC, datetime

import pytest

from roost_edge.page.forms import searched, wanted, way_back
from roost_rendezvous.proxy.refused import Refused


def test_a_search_reads_days_in_the_devices_zone_and_takes_the_last_one_whole() -> None:
    found = wanted(searched({"from": "2026-05-30", "to": "2026-05-31", "label": " hen ", "least": "0.5"}), UTC)
    assert found.from_ms == datetime(2026, 5, 30, tzinfo=UTC).timestamp() * 1000
    assert found.to_ms == datetime(2026, 6, 1, tzinfo=UTC).timestamp() * 1000
    assert (found.label, found.least, found.most, found.before) == ("hen", 0.5, None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"from": "yesterday"},
        {"to": "9999-12-31"},
        {"least": "nan"},
        {"most": "inf"},
        {"least": "high"},
        {"before": "-1"},
        {"before": "1" * 30},
        {"before": "٣"},
    ],
)
def test_what_is_no_date_no_score_and_no_place_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        wanted(searched(wrong), UTC)
    assert refused.value.status == 400
    assert refused.value.remedy


@pytest.mark.parametrize(
    "elsewhere", ["https://example.org", "//example.org", "/\\example.org", "/a\r\nSet-Cookie: x", "", "gallery"]
)
def test_after_the_login_nobody_is_sent_elsewhere(elsewhere: str) -> None:
    assert way_back(elsewhere) == "/"


def test_after_the_login_one_goes_on_where_one_was() -> None:
    assert way_back("/gallery?label=hen") == "/gallery?label=hen"
