"""A whole device under systemd, in a booted guest: it comes up, and comes back from whatever is done to it.

What a guest cannot show: bounds on memory are not enforced there, and there is no watchdog of hardware.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from device_guest import SETTINGS, bring_up, device_base, install, is_ready, own_wheel, roost, standings, wait_until
from guests import Guest

ROLES = (
    "rendezvous-henhouse",
    "injector-henhouse",
    "decoy-henhouse",
    "monitor",
    "alerts",
    "model-henhouse-champion",
    "model-henhouse-fast",
    "model-henhouse-visits",
    "capture-nest",
)
VISITS = "model-henhouse-visits"
STALL_S = 3
CAMERA = "roost-capture@nest.service"
# A scene that hangs when told to: in its thread alone, as a driver does, or with all of Python, as a bad binding does.
SCENE = """\
import ctypes, pathlib, time
from roost_henhouse.scene import HenhouseScene

class Scene(HenhouseScene):
    def frame(self, index):
        how = pathlib.Path("/run/hang-camera")
        if how.exists() and index > 5:
            if "python" in how.read_text():
                ctypes.PyDLL(None).sleep(100_000)
            time.sleep(100_000)
        return super().frame(index)
"""


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def device(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """A device of which every role is ready. Whoever breaks something waits until it is whole again."""
    release = request.param
    wheel = own_wheel(release, tmp_path_factory.mktemp("wheel"))
    with Guest(f"sd-{release}"[:11], device_base(release)) as guest:
        install(guest, wheel)
        bring_up(guest, *ROLES)
        yield guest


def journal(guest: Guest, *words: str) -> str:
    return guest.run(["journalctl", "--boot", "--no-pager", "--output=cat", *words]).stdout


def show(guest: Guest, unit: str, name: str) -> str:
    return guest.properties(unit, name)[name]


def restarts(guest: Guest) -> dict[str, int]:
    return {role: int(str(one["restarts"])) for role, one in standings(guest).items()}


def result(guest: Guest) -> dict[str, object]:
    """The next official result, as the operator hears it."""
    password = guest.read("/etc/roost/broker/passwords/operator").strip()
    said = guest.run(
        ["mosquitto_sub", "-p", "1884", "-u", "operator", "-P", password,
         "-t", "roost/pi1/henhouse/results/#", "-C", "1", "-W", "120"], timeout_s=150,
    )  # fmt: skip
    found: dict[str, object] = json.loads(said.stdout)
    return found


def own_settings(guest: Guest, text: str) -> None:
    """Other settings, in force."""
    guest.put("/etc/roost/roost.toml", text)
    roost(guest, "broker", "setup", "--settings", "/etc/roost/roost.toml")
    roost(guest, "units", "apply")


def test_a_model_answers_under_all_that_is_forbidden_to_it(device: Guest) -> None:
    champion = "roost-model@henhouse-champion.service"
    assert show(device, champion, "MemoryDenyWriteExecute") == "yes"
    assert show(device, champion, "User") == "roost-model"
    assert result(device)["cause"] in ("preferred", "fallback")
    status = device.run(["sh", "-c", f"cat /proc/$(systemctl show -P MainPID {champion})/status"]).stdout
    assert "NoNewPrivs:\t1" in status
    assert "CapBnd:\t0000000000000000" in status
    assert "Seccomp:\t2" in status


def test_the_desk_examines_the_whole_device_under_all_that_is_forbidden_to_it(device: Guest) -> None:
    where = ("--settings", "/etc/roost/roost.toml")
    asked = roost(device, "doctor", "--node", "pi1", "--json", *where, check=False)
    assert asked.returncode == 0, asked.stdout + asked.stderr
    found = {check["name"]: check for check in json.loads(asked.stdout)["checks"]}
    skipped = {name for name, check in found.items() if check["status"] == "skipped"}
    assert skipped <= {"power", "temperature", "watchdog", "identity"}  # a guest has none of them
    assert not [check for check in found.values() if check["status"] == "fail"]
    locked = [check["found"] for name, check in found.items() if "may not" in check["found"] and name != "card"]
    assert locked == []  # but for the kernel's log, which is root's
    for name in ("storage", "stores", "units", "broker", "roles", "camera/nest"):
        assert found[name]["status"] == "ok", found[name]
    for model in ("champion", "fast", "visits"):
        assert "goldens agree" in found[f"bundle/henhouse/{model}"]["found"]
    assert device.properties("roost-desk.service", "User", "MemoryDenyWriteExecute", "NRestarts") == {
        "User": "roost",
        "MemoryDenyWriteExecute": "yes",
        "NRestarts": "0",
    }


def test_a_second_apply_changes_nothing_and_systemd_has_no_complaint(device: Guest) -> None:
    assert json.loads(roost(device, "units", "apply", "--check", "--json").stdout)["changed"] is False
    units = device.run(
        ["sh", "-c", "cd /etc/systemd/system && ls -d roost*.service roost*.target roost*.timer roost*.socket"]
    )
    names = [name.replace("@.", "@henhouse.") for name in units.stdout.split()]
    assert len(names) > 15
    verified = device.run(["systemd-analyze", "verify", "--man=no", *names])
    assert [line for line in verified.stderr.splitlines() if "roost" in line] == []
    for name in names:
        if name.endswith(".service"):
            device.run(["systemd-analyze", "security", "--offline=yes", "--threshold=25", "--no-pager", name])


def test_a_killed_role_comes_back_and_no_other_is_touched(device: Guest) -> None:
    before = restarts(device)
    device.run(["systemctl", "kill", "--signal=KILL", "roost-rendezvous@henhouse.service"])
    wait_until(lambda: restarts(device)["rendezvous-henhouse"] > before["rendezvous-henhouse"], "it was started again")
    wait_until(lambda: is_ready(device, *ROLES), "every role is ready")
    after = restarts(device)
    assert after.pop("rendezvous-henhouse") == before.pop("rendezvous-henhouse") + 1
    assert after == before
    assert result(device)["cause"] in ("preferred", "fallback")


def test_a_role_that_hangs_is_ended_by_its_watchdog_and_says_where(device: Guest) -> None:
    before = restarts(device)["injector-henhouse"]
    device.run(["systemctl", "kill", "--signal=STOP", "--kill-whom=main", "roost-injector@henhouse.service"])
    wait_until(lambda: restarts(device)["injector-henhouse"] > before, "the watchdog has ended it")
    wait_until(lambda: is_ready(device, "injector-henhouse"), "it is ready again")
    said = journal(device, "--unit=roost-injector@henhouse.service")
    assert "Watchdog timeout" in said
    assert "most recent call first" in said


@pytest.mark.parametrize("how", ["thread", "python"])
def test_a_camera_that_hangs_is_recovered_without_a_person(device: Guest, how: str) -> None:
    site = device.run(["/opt/roost/venv/bin/python", "-c", "import roost_edge; print(roost_edge.__path__[0])"]).stdout
    device.put(f"{Path(site.strip()).parent}/hanging_scene.py", SCENE)
    camera = f'scene = "hanging_scene:Scene"\n[cameras.nest.capture]\nstall_s = {STALL_S}\n'
    own_settings(device, SETTINGS.replace("seed = 7\n", camera))
    device.run(["systemctl", "restart", CAMERA])
    before = restarts(device)["capture-nest"]
    device.put("/run/hang-camera", how)
    wait_until(lambda: restarts(device)["capture-nest"] > before, "the camera's role was started again")
    device.run(["rm", "/run/hang-camera"])
    wait_until(lambda: is_ready(device, "capture-nest"), "the camera is back")
    said = journal(device, f"--unit={CAMERA}")
    if how == "thread":  # the role itself saw it
        assert f"has delivered nothing for {STALL_S} s" in said
    else:  # nothing of Python ran any more: systemd did
        assert "Watchdog timeout" in said
    assert result(device)["cause"] in ("preferred", "fallback")
    own_settings(device, SETTINGS)
    device.run(["systemctl", "restart", CAMERA])


def test_a_role_that_cannot_work_waits_longer_each_time_and_stops_nobody_else(device: Guest) -> None:
    manifest = "/opt/roost/bundles/visits/manifest.json"
    before = restarts(device)
    device.run(["mv", manifest, f"{manifest}.away"])
    device.run(["systemctl", "kill", "--signal=KILL", "roost-model@henhouse-visits.service"])
    wait_until(lambda: restarts(device)[VISITS] >= before[VISITS] + 4, "it was started four times more")
    wait_until(lambda: "times in a row; waits" in str(standings(device)[VISITS]["detail"]), "it waits")
    assert is_ready(device, *(role for role in ROLES if role != VISITS))
    assert result(device)["cause"] in ("preferred", "fallback")
    assert roost(device, "units", "status", check=False).returncode in (0, 1)
    device.run(["mv", f"{manifest}.away", manifest])
    wait_until(lambda: is_ready(device, *ROLES), "the repaired model is back by itself")
    after = restarts(device)
    assert {role: count for role, count in after.items() if "visits" not in role} == {
        role: count for role, count in before.items() if "visits" not in role
    }


def test_a_hand_over_works_as_under_the_supervisor(device: Guest) -> None:
    python = "/opt/roost/venv/bin/python3"  # another name of the same, to be told apart
    for old, new, words in (("", "-b", ["--python", python]), ("-b", "", [])):
        done = roost(device, "upgrade", "rendezvous", "--settings", "/etc/roost/roost.toml", "--json", *words)
        assert json.loads(done.stdout)["in_charge"] == f"rendezvous-henhouse{new}"
        found = standings(device)
        assert found[f"rendezvous-henhouse{new}"]["state"] == "active"
        assert found[f"rendezvous-henhouse{old}"]["state"] == "inactive"
        runs = device.read(f"/proc/{found[f'rendezvous-henhouse{new}']['pid']}/cmdline").split("\0")[0]
        assert runs == (python if words else "/opt/roost/venv/bin/python")
    assert result(device)["cause"] in ("preferred", "fallback")


ASK = """\
import asyncio, json, pathlib, sys
from roost_edge.processes.control import ask
try:
    print(asyncio.run(ask(pathlib.Path("/var/lib/roost/supervisor.sock"), json.loads(sys.argv[1]), timeout_s=60)))
except Exception as error:
    print(type(error).__name__, error)
"""


def asked(device: Guest, user: str, **request: str) -> str:
    """What the socket of `roost-units` answers a user."""
    return device.run(["setpriv", f"--reuid={user}", "--regid=roost", "--clear-groups",
                       "/opt/roost/venv/bin/python", "-c", ASK, json.dumps(request)]).stdout  # fmt: skip


def test_slots_of_models_start_and_end_by_name_and_nothing_else_does(device: Guest) -> None:
    role, standing = "model-henhouse-champion-b", "/var/lib/roost/ota/lines/henhouse/champion.json"
    content = {"name": "champion", "version": "1", "digest": "0" * 64, "delivered": True}
    words = {"schema": "roost.ota-line/1", "slots": {"a": content, "b": content}, "beside": "shadow"}
    kept = SETTINGS.replace('champion"\n', 'champion"\nota = "champion"\n', 1)
    own_settings(device, f'{kept}\n[ota]\nregistry = "/var/lib/registry"\nroot = "root.json"\n')
    device.run(["systemctl", "start", "roost-model@henhouse-champion-b.service"])
    assert standings(device)[role]["state"] == "inactive"  # nothing lies in it: nothing runs, and nothing has failed
    device.put(standing, json.dumps(words))
    device.run(["chown", "-R", "roost:roost", "/var/lib/roost/ota"])
    assert asked(device, "roost", do="start", role=role) == "{'ok': True}\n"
    wait_until(lambda: is_ready(device, role), "the slot runs")
    for user, request, refusal in (
        ("roost", {"do": "start", "role": "ssh.service"}, "Misuse The settings have no role 'ssh.service'"),
        ("roost", {"do": "start", "role": "../../ssh"}, "Misuse The settings have no role"),
        ("roost", {"do": "remove", "role": "monitor"}, "Misuse monitor has no slots"),
        ("roost", {"do": "remove", "role": "model-henhouse-champion"}, "Misuse model-henhouse-champion answers"),
        ("roost", {"do": "halt"}, "Misuse A supervisor cannot do 'halt'"),
        ("roost-model", {"do": "roles"}, "PermissionError"),
    ):
        assert refusal in asked(device, user, **request)
    assert asked(device, "roost", do="remove", role=role) == "{'ok': True}\n"
    assert standings(device)[role]["state"] == "inactive"
    device.run(["rm", "-r", "/var/lib/roost/ota"])
    own_settings(device, SETTINGS)


def test_the_page_works_as_written(device: Guest) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "systemd.md").read_text()
    lines = [line.removeprefix("# ") for line in page.splitlines() if line.startswith(("# roost ", "# systemctl "))]
    assert len(lines) >= 6
    wait_until(lambda: is_ready(device, *ROLES), "every role is ready")
    for line in lines:
        device.run(line.split())
    wait_until(lambda: is_ready(device, *ROLES), "every role is ready")


def test_what_the_settings_have_no_more_is_ended_and_what_is_new_begins(device: Guest) -> None:
    without = SETTINGS.replace('[tasks.henhouse.models.fast]\nbundle = "/opt/roost/bundles/fast"\n', "")
    own_settings(device, without)
    assert show(device, "roost-model@henhouse-fast.service", "ActiveState") == "inactive"
    own_settings(device, SETTINGS)
    wait_until(lambda: is_ready(device, *ROLES), "it is back")


def test_everything_ends_in_order_cameras_first(device: Guest) -> None:
    device.run(["systemctl", "stop", "roost.target"])
    wait_until(lambda: {str(one["state"]) for one in standings(device).values()} == {"inactive"}, "all have ended")
    ends = [json.loads(line)["role"] for line in journal(device).splitlines() if '"stopped in order"' in line]
    place = {role: number for number, role in enumerate(ends)}  # of the last time each ended
    assert set(ROLES) <= place.keys()
    assert place["capture-nest"] < place["rendezvous-henhouse"] < place["alerts"]
    device.run(["systemctl", "start", "roost.target"])
    wait_until(lambda: is_ready(device, *ROLES), "it runs again")


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_it_comes_up_again_after_a_restart_in_order_and_after_a_cut(device: Guest, how: str) -> None:
    getattr(device, how)()
    device.start()
    wait_until(lambda: is_ready(device, *ROLES), "every role is ready")
    assert result(device)["cause"] in ("preferred", "fallback")
    assert show(device, "roost-units.socket", "ActiveState") == "active"
