"""The roles `centre` and `gateway`: what a device says reaches the centre, by certificates of the fleet."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from fleet import EnrolmentDesk, Inventory, Ran
from guests import Guest

# As the centre's own user, who alone may read its password.
_ASK = "sudo -u roost-centre roost fleet status --centre /var/lib/roost-centre --json"
_UNTIL_HEARD = f"until {_ASK} | grep -q pi1; do sleep 1; done"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Inventory, Guest, Ran]]:
    folder = tmp_path_factory.mktemp("centre")
    inventory = Inventory(folder)
    with ExitStack() as stack:
        desk = stack.enter_context(EnrolmentDesk(folder))
        centre = stack.enter_context(Guest("centre1"))
        device = stack.enter_context(Guest("pi1"))
        # Guests have no mirror: the program comes from this machine, which has it from its distribution.
        server = shutil.which("nats-server", path="/usr/sbin:/usr/bin")
        assert server
        centre.put("/usr/sbin/nats-server", Path(server), mode=0o755)
        inventory.add("centre", centre)
        inventory.add("devices", device)
        inventory.everyone |= {
            "edge_desk": desk.url,
            "edge_authority": str(desk.authority),
            "gateway_urls": [f"tls://{centre.address}:4222"],
            "gateway_password": "said-by-pi1",
            "centre_password": "said-by-the-centre",
            "centre_gateways": {"pi1": "said-by-pi1"},
            "centre_packages": ["python3", "python3-venv", "python3-apt", "openssl", "ca-certificates"],
        }
        yield inventory, centre, inventory.play("site.yml")


def test_a_device_and_its_centre_are_set_up_in_one_run(site: tuple[Inventory, Guest, Ran]) -> None:
    _, centre, ran = site
    assert ran.status == 0, ran.said
    assert centre.state() == "running"
    assert centre.run(["stat", "-c", "%a %U", "/var/lib/roost-centre/tls/server.key"]).stdout == "600 roost-centre\n"


def test_what_the_device_says_is_at_the_centre(site: tuple[Inventory, Guest, Ran]) -> None:
    _, centre, ran = site
    assert ran.status == 0, ran.said
    centre.run(["timeout", "300", "sh", "-c", _UNTIL_HEARD], timeout_s=330)


def test_a_second_run_changes_neither(site: tuple[Inventory, Guest, Ran]) -> None:
    inventory, _, ran = site
    assert ran.status == 0, ran.said
    again = inventory.play("site.yml")
    assert again.changed() == {"centre1": 0, "pi1": 0}, again.said
