"""Where the page may listen."""

import pytest

from roost_broker.errors import Misuse
from roost_edge.page.settings import PageSettings


def test_without_anything_it_is_for_this_machine_alone() -> None:
    assert PageSettings().local
    assert not PageSettings().secure


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.9", "::", "coop-1.local"])  # noqa: S104  # that it is refused
def test_elsewhere_it_wants_tls(host: str) -> None:
    with pytest.raises(Misuse, match="in the clear"):
        PageSettings(host=host)
    own = PageSettings(host=host, tls_certificate="/c.pem", tls_key="/k.pem")
    assert own.secure
    assert not own.local


@pytest.mark.parametrize("half", [{"tls_certificate": "/c.pem"}, {"tls_key": "/k.pem"}])
def test_half_of_tls_is_refused(half: dict[str, str]) -> None:
    with pytest.raises(Misuse, match="go together"):
        PageSettings(**half)


@pytest.mark.parametrize("wrong", [{"port": 70_000}, {"max_live": -1}, {"session_hours": 0}, {"live_every_ms": 1}])
def test_a_bound_out_of_range_is_refused_by_its_name(wrong: dict[str, int]) -> None:
    with pytest.raises(Misuse, match=f"page.{next(iter(wrong))}"):
        PageSettings(**wrong)  # type: ignore[arg-type]  # they are numbers all
