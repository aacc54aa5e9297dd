"""The unit files themselves: what is promised of all stands in all."""

import re

import pytest

from roost_edge.units.shipped import shipped

UNITS = shipped()
SERVICES = sorted(name for name in UNITS if name.endswith(".service"))
ROLES = sorted(name for name in SERVICES if "roost_edge.daemon" in UNITS[name])
ROOTS = {"roost-units.service", "roost-firstboot.service", "roost-renew.service"}
SEEN_BY_ALL = UNITS["roost-.service.d/10-hardened.conf"]


def lines(name: str) -> list[str]:
    return [line for line in UNITS[name].splitlines() if line and not line.startswith("#")]


def values(name: str, key: str) -> list[str]:
    return [line.partition("=")[2] for line in lines(name) if line.startswith(f"{key}=")]


@pytest.mark.parametrize("name", ROLES)
def test_every_role_is_watched_restarted_and_never_given_up(name: str) -> None:
    assert values(name, "Type") == ["notify"]
    assert values(name, "Restart") == ["on-failure"]
    assert values(name, "StartLimitIntervalSec") == ["0"]
    assert 0 < int(values(name, "WatchdogSec")[0]) <= 30
    assert int(values(name, "TimeoutStartSec")[0]) >= 90
    assert int(values(name, "TimeoutStopSec")[0]) < 27  # whoever removes a slot waits 30 s for roost-units


@pytest.mark.parametrize("name", ROLES)
def test_no_role_is_root_or_can_become_it(name: str) -> None:
    assert values(name, "User") in (["roost"], ["roost-model"])
    assert values(name, "CapabilityBoundingSet") == [""]
    assert values(name, "MemoryDenyWriteExecute") == ["yes"]
    assert values(name, "SystemCallFilter")[:2] == ["@system-service", "~@privileged @resources"]


def test_only_three_units_are_root_and_none_has_more_of_it_than_it_needs() -> None:
    assert {name for name in SERVICES if not values(name, "User")} == ROOTS
    assert values("roost-units.service", "CapabilityBoundingSet") == [""]
    assert values("roost-renew.service", "CapabilityBoundingSet") == ["CAP_CHOWN CAP_FOWNER"]
    assert values("roost-firstboot.service", "CapabilityBoundingSet") == ["CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE"]


@pytest.mark.parametrize("name", SERVICES)
def test_what_holds_for_all_is_said_once(name: str) -> None:
    common = {line.partition("=")[0] for line in SEEN_BY_ALL.splitlines() if "=" in line and not line.startswith("#")}
    own = {line.partition("=")[0] for line in lines(name)}
    assert not common & own, "the drop-in outweighs the unit: said in both, the unit's own would silently not count"


def test_when_memory_is_short_models_go_first_and_who_answers_goes_last() -> None:
    scores = {name: int(values(name, "OOMScoreAdjust")[0]) for name in ROLES}
    first = {name for name, score in scores.items() if score == max(scores.values())}
    assert first == {"roost-model@.service", "roost-flock.service"}
    last = sorted(scores, key=scores.__getitem__)[:3]
    assert set(last) == {"roost-rendezvous@.service", "roost-capture@.service", "roost-injector@.service"}
    assert int(re.findall(r"OOMScoreAdjust=(-?\d+)", UNITS["mosquitto.service.d/20-roost.conf"])[0]) < min(
        scores.values()
    )


def test_a_model_reaches_nobody_but_the_broker_and_writes_to_its_own_folders_only() -> None:
    model = "roost-model@.service"
    assert values(model, "IPAddressDeny") == ["any"]
    assert values(model, "IPAddressAllow") == ["localhost"]
    assert values(model, "ReadWritePaths") == []
    assert all("%i" in part for part in values(model, "StateDirectory")[0].split())


def test_who_loads_bundles_by_the_calendar_is_no_more_trusted_than_a_model_and_is_in_nobodys_way() -> None:
    name = "roost-features.service"
    assert values(name, "User") == values("roost-model@.service", "User")
    assert values(name, "PrivateNetwork") == ["yes"]
    assert values(name, "CPUSchedulingPolicy") == ["idle"]
    assert int(values(name, "OOMScoreAdjust")[0]) > int(values("roost-model@.service", "OOMScoreAdjust")[0])


@pytest.mark.parametrize("name", [name for name in UNITS if name.endswith(".timer")])
def test_no_timer_strikes_a_whole_fleet_at_once(name: str) -> None:
    assert values(name, "RandomizedDelaySec") == ["12h"]


def test_whoever_wants_a_unit_is_shipped_too() -> None:
    wanted = {value for name in UNITS if not name.endswith(".conf") for value in values(name, "WantedBy")}
    assert wanted <= {*UNITS, "multi-user.target"}
