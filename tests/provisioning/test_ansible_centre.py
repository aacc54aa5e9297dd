"""The page's own way with its own example, to a centre and a device: what the device says reaches the centre."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from fleet import PLAYBOOKS, EnrolmentDesk, Ran, control, play
from guests import USER, Guest, network

CENTRE, DEVICE = "centre-1", "coop-2"

# As the centre's own user, who alone may read its password.
_ASK = "sudo -u roost-centre roost fleet status --centre /var/lib/roost-centre --json"
_UNTIL_HEARD = f"until {_ASK} | grep -q {DEVICE}; do sleep 1; done"


@dataclass(frozen=True)
class Site:
    """A centre, and the run of site.yml that made it and a device of the example."""

    centre: Guest
    ran: Ran


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(PLAYBOOKS / "example", folder / "my-fleet")
    control("bundle", "new", "--name", "fast", "--task", "henhouse", str(folder / "my-fleet/files/bundles/fast"))
    with ExitStack() as stack:
        desk = stack.enter_context(EnrolmentDesk(folder / "my-fleet"))
        centre = stack.enter_context(Guest(CENTRE))
        device = stack.enter_context(Guest(DEVICE))
        # Guests have no mirror: the program comes from this machine, which has it from its distribution.
        server = shutil.which("nats-server", path="/usr/sbin:/usr/bin")
        assert server
        centre.put("/usr/sbin/nats-server", Path(server), mode=0o755)
        addresses = {
            "https://192.0.2.2:8443": desk.url,
            "192.0.2.2:": f"{centre.address}:",
            "192.0.2.2}": f"{centre.address}}}",
            "192.0.2.12}": f"{device.address}}}",
        }
        for path in (folder / "my-fleet").rglob("*.yml"):
            text = path.read_text()
            for shown, real in addresses.items():
                text = text.replace(shown, real)
            path.write_text(text)
        values: dict[str, object] = {
            "ansible_user": USER,
            "ansible_ssh_private_key_file": str(network().key),
            "ansible_ssh_common_args": f"-F none -o UserKnownHostsFile={network().known_hosts}",
            "centre_packages": ["python3", "python3-venv", "python3-apt", "openssl", "ca-certificates"],
        }
        hosts = folder / "my-fleet" / "hosts.yml"
        yield Site(centre, play(hosts, "site.yml", "--limit", f"{CENTRE},{DEVICE}", **values))


def test_the_example_becomes_a_device_and_its_centre_in_one_run(site: Site) -> None:
    assert site.ran.status == 0, site.ran.said
    assert site.centre.state() == "running"
    key = site.centre.run(["stat", "-c", "%a %U", "/var/lib/roost-centre/tls/server.key"])
    assert key.stdout == "600 roost-centre\n"


def test_what_the_device_says_is_at_the_centre(site: Site) -> None:
    assert site.ran.status == 0, site.ran.said
    site.centre.run(["timeout", "300", "sh", "-c", _UNTIL_HEARD], timeout_s=330)
