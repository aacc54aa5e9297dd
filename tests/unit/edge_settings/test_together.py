"""Which roles share a process, as the settings have it."""

import msgspec
import pytest

from roost_edge.processes.plan import RoleProcess, plan
from roost_edge.processes.together import ASIDE, members, process_of
from roost_edge.settings.device import Settings

BESIDE = {"decoy-nest", "decoy-door", "monitor", "alerts", "desk"}


def settings(*, compact: bool, **more: object) -> Settings:
    task = {"schedule": "/s.toml", "models": {"champion": {"bundle": "/b/c"}}}
    document = {
        "node": {"name": "pi1", "compact": compact},
        "tasks": {"nest": task, "door": task},
        "cameras": {"box": {"task": "nest"}},
        **more,
    }
    return msgspec.convert(document, Settings)


def test_unless_the_settings_say_so_every_role_has_a_process_to_itself() -> None:
    device = settings(compact=False)
    assert members(device) == ()
    assert [process_of(device, role) for role in plan(device)] == [role.name for role in plan(device)]


def test_on_a_compact_device_those_beside_the_flow_share_one_and_nobody_else_does() -> None:
    device = settings(compact=True)
    assert {role.name for role in members(device)} == BESIDE
    others = [role for role in plan(device) if role.name not in BESIDE]
    assert {process_of(device, role) for role in members(device)} == {ASIDE}
    assert [process_of(device, role) for role in others] == [role.name for role in others]
    assert {"model", "capture", "rendezvous", "injector"} <= {role.kind for role in others}


def test_they_start_in_the_order_of_the_plan_so_that_consumers_come_first() -> None:
    device = settings(compact=True)
    planned = [role.name for role in plan(device)]
    assert [role.name for role in members(device)] == [name for name in planned if name in BESIDE]


@pytest.mark.parametrize(("host", "shared"), [("127.0.0.1", True), ("0.0.0.0", False)])  # noqa: S104  # nothing listens
def test_a_page_shares_it_only_where_nobody_but_this_device_reaches_it(host: str, shared: bool) -> None:
    page = {"host": host, "tls_certificate": "/c.pem", "tls_key": "/k.pem"}
    device = settings(compact=True, page=page)
    assert ("page" in {role.name for role in members(device)}) == shared
    assert process_of(device, RoleProcess("page")) == (ASIDE if shared else "page")
