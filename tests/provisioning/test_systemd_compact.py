"""A compact device under systemd, in a booted guest: its models are forked from one process of one unit."""

from collections.abc import Iterator

import pytest
from device_guest import SETTINGS, bring_up, device_base, install, is_ready, own_wheel, roost, standings, wait_until
from guests import Guest

MODELS = ("model-henhouse-champion", "model-henhouse-fast", "model-henhouse-visits")
ROLES = (*MODELS, "rendezvous-henhouse", "injector-henhouse", "decoy-henhouse", "monitor", "alerts", "desk")
COMPACT = SETTINGS.replace("[node]\n", "[node]\ncompact = true\n", 1)


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def device(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """A compact device of which every role is ready."""
    release = request.param
    wheel = own_wheel(release, tmp_path_factory.mktemp("wheel"))
    with Guest(f"cp-{release}"[:11], device_base(release)) as guest:
        install(guest, wheel, settings=COMPACT)
        bring_up(guest, *ROLES)
        yield guest


def pid(guest: Guest, folder: str, role: str) -> int:
    return int(guest.run(["cat", f"/var/lib/roost/models/{folder}/sessions/{role}.lock"]).stdout)


def session(guest: Guest, folder: str, role: str) -> int:
    return int(guest.run(["cat", f"/var/lib/roost/models/{folder}/sessions/{role}"]).stdout)


def test_the_models_are_children_of_one_unit_and_one_that_is_killed_returns_alone(device: Guest) -> None:
    units = standings(device)
    assert {units[name]["unit"] for name in MODELS} == {"roost-flock.service"}
    before = {name: pid(device, "flock", name) for name in MODELS}
    parents = {device.run(["ps", "-o", "ppid=", "-p", str(number)]).stdout.strip() for number in before.values()}
    assert parents == {str(units[MODELS[0]]["pid"])}
    counted = session(device, "flock", MODELS[0])
    device.run(["kill", "-SEGV", str(before[MODELS[0]])])
    wait_until(lambda: session(device, "flock", MODELS[0]) == counted + 1, "it is started again")
    wait_until(lambda: is_ready(device, *MODELS), "all are ready")
    assert {name: pid(device, "flock", name) for name in MODELS[1:]} == {name: before[name] for name in MODELS[1:]}
    assert standings(device)[MODELS[0]]["pid"] == units[MODELS[0]]["pid"]


def test_stopping_the_unit_ends_every_model(device: Guest) -> None:
    numbers = [pid(device, "flock", name) for name in MODELS]
    device.run(["systemctl", "stop", "roost-flock.service"])
    assert all(device.run(["test", "-e", f"/proc/{number}"], check=False).returncode for number in numbers)
    shown = device.run(["systemctl", "show", "-p", "Result", "roost-flock.service"]).stdout
    assert shown.strip() == "Result=success"
    device.run(["systemctl", "start", "--no-block", "roost-flock.service"])
    wait_until(lambda: is_ready(device, *MODELS), "all are ready")


def test_back_in_units_of_their_own_they_go_on_counting_their_sessions(device: Guest) -> None:
    counted = session(device, "flock", MODELS[0])
    device.put("/etc/roost/roost.toml", SETTINGS)
    roost(device, "units", "apply")
    wait_until(lambda: is_ready(device, *ROLES), "every role is ready")
    assert session(device, "henhouse-champion", MODELS[0]) == counted + 1
    assert standings(device)[MODELS[0]]["unit"] == "roost-model@henhouse-champion.service"
