"""Which roles share a process, as the settings have it."""

from collections.abc import Mapping

import msgspec
import pytest

from roost_edge.processes.plan import RoleProcess, plan
from roost_edge.processes.together import ASIDE, FLOCK, members, process_of
from roost_edge.settings.device import Settings

BESIDE = {"decoy-nest", "decoy-door", "monitor", "alerts", "desk"}


def settings(*, compact: bool, models: Mapping[str, object] | None = None, **more: object) -> Settings:
    """Two tasks: the models of `nest` are one, those of `door` are `models`."""
    champion = {"schedule": "/s.toml", "models": {"champion": {"bundle": "/b/c"}}}
    document = {
        "node": {"name": "pi1", "compact": compact},
        "tasks": {"nest": champion, "door": {"schedule": "/s.toml", "models": dict(models or {})}},
        "cameras": {"box": {"task": "nest"}},
        **more,
    }
    return msgspec.convert(document, Settings)


def test_unless_the_settings_say_so_every_role_has_a_process_to_itself() -> None:
    device = settings(compact=False)
    assert members(device, ASIDE) == members(device, FLOCK) == ()
    assert [process_of(device, role) for role in plan(device)] == [role.name for role in plan(device)]


def test_on_a_compact_device_those_beside_the_flow_share_one_and_nobody_else_does() -> None:
    device = settings(compact=True)
    assert {role.name for role in members(device, ASIDE)} == BESIDE
    others = [role for role in plan(device) if role.name not in BESIDE]
    assert {process_of(device, role) for role in members(device, ASIDE)} == {ASIDE}
    assert [process_of(device, role) for role in others] == [role.name for role in others]
    assert {"model", "capture", "rendezvous", "injector"} <= {role.kind for role in others}


def test_they_start_in_the_order_of_the_plan_so_that_consumers_come_first() -> None:
    device = settings(compact=True)
    planned = [role.name for role in plan(device)]
    assert [role.name for role in members(device, ASIDE)] == [name for name in planned if name in BESIDE]


@pytest.mark.parametrize(("host", "shared"), [("127.0.0.1", True), ("0.0.0.0", False)])  # noqa: S104  # nothing listens
def test_a_page_shares_it_only_where_nobody_but_this_device_reaches_it(host: str, shared: bool) -> None:
    page = {"host": host, "tls_certificate": "/c.pem", "tls_key": "/k.pem"}
    device = settings(compact=True, page=page)
    assert ("page" in {role.name for role in members(device, ASIDE)}) == shared
    assert process_of(device, RoleProcess("page")) == (ASIDE if shared else "page")


def test_two_models_or_more_are_forked_from_one_process_and_each_is_told_by_its_name() -> None:
    device = settings(compact=True, models={"fast": {"bundle": "/b/f", "replicas": 2}})
    flock = [role.name for role in members(device, FLOCK)]
    assert flock == ["model-nest-champion", "model-door-fast-1", "model-door-fast-2"]
    assert not {role.name for role in members(device, ASIDE)} & set(flock)
    assert process_of(device, RoleProcess("model", "nest", "champion")) == FLOCK


def test_a_single_model_has_nobody_to_share_with() -> None:
    device = settings(compact=True)
    assert members(device, FLOCK) == ()
    assert process_of(device, RoleProcess("model", "nest", "champion")) == "model-nest-champion"


def test_a_model_that_is_kept_up_to_date_has_a_process_to_itself_because_its_slots_come_and_go() -> None:
    kept = {"bundle": "/b/k", "ota": "birds"}
    device = settings(compact=True, models={"fast": {"bundle": "/b/f"}, "kept": kept})
    assert [role.name for role in members(device, FLOCK)] == ["model-nest-champion", "model-door-fast"]
    assert process_of(device, RoleProcess("model", "door", "kept")) == "model-door-kept"
    assert process_of(device, RoleProcess("model", "door", "kept-b")) == "model-door-kept-b"
