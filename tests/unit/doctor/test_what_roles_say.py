"""Judging what the roles said: who is there, what the camera saw, what waits, what runs of another version."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from patients import helps, patient

from roost_broker.clock import MS, SECOND, VirtualClock
from roost_broker.headers import new_header
from roost_broker.messages import Availability, ModelState, OtaLine, OtaState, RoleState
from roost_broker.version import VERSION
from roost_edge.doctor.broker import broker, roles, versions
from roost_edge.doctor.broker_look import Look
from roost_edge.doctor.cameras import camera
from roost_edge.doctor.findings import Verdict
from roost_edge.doctor.upstream import gateway, ota

CLOCK = VirtualClock()
HEAD: dict[str, Any] = new_header(CLOCK, "coop-1", "test")._asdict()
NAMES = ("rendezvous-nest", "decoy-nest", "monitor", "alerts", "desk", "injector-nest")
CAMERA = '[cameras.box]\ntask = "nest"\nsource = "folder"\npath = "unplugged"\n'


def role(name: str, state: Any = "ready", **fields: Any) -> RoleState:
    return RoleState(**{**HEAD, "role": name, "state": state, "session": 1, "version": VERSION, **fields})


def model(state: Any = "ready", **fields: Any) -> ModelState:
    return ModelState(**HEAD, model="a", state=state, session=1, **fields)


def everybody(*others: RoleState, a: ModelState | None = None, without: str = "") -> Look:
    """All roles of the device are ready, but for what is said otherwise."""
    found = {name: role(name) for name in NAMES if name != without}
    return Look(roles={**found, **{one.role: one for one in others}}, models={("nest", "a", 0): a or model()})


def judged(tmp_path: Path, look: Look) -> Verdict:
    return roles(patient(tmp_path, looked=look))


def test_when_everybody_is_ready_all_is_well(tmp_path: Path) -> None:
    assert helps(judged(tmp_path, everybody()), "ok", "7 of 7 roles are ready", "")


def test_a_successor_in_the_other_slot_is_the_role(tmp_path: Path) -> None:
    gone, successor = role("rendezvous-nest", "gone"), role("rendezvous-nest-b")
    assert judged(tmp_path, everybody(gone, successor)).status == "ok"


@pytest.mark.parametrize(("look", "found", "remedy"), [
    (everybody(without="decoy-nest"), "Not there: decoy-nest", "Their logs say why"),
    (everybody(role("decoy-nest", "gone")), "Not there: decoy-nest", "roost.target"),
    (everybody(a=model("gone")), "Not there: model-nest-a", "Their logs say why"),
    (everybody(a=model("failed", detail="no engine")), "Failed: model-nest-a (no engine)", "Do what they say"),
    (everybody(a=model("warming")), "Still starting: model-nest-a", "Ask again"),
    (Look(), "None of the 7 roles runs", "systemctl start roost.target"),
])  # fmt: skip
def test_a_role_that_is_missing_failed_or_late_is_named(tmp_path: Path, look: Look, found: str, remedy: str) -> None:
    assert helps(judged(tmp_path, look), "fail", found, remedy)


def test_alerts_that_vanished_are_known_by_the_devices_availability(tmp_path: Path) -> None:
    """Their last will says that the device is offline; their own state stays as it was."""
    look = everybody()
    look.availability = Availability(**HEAD, state="offline", session=1)
    assert helps(judged(tmp_path, look), "fail", "Not there: alerts", "logs")


def test_a_model_on_trial_is_the_agents_affair(tmp_path: Path) -> None:
    models = 'ota = "hen"\n'
    sections = '[ota]\nregistry = "registry"\nroot = "root.json"\n'
    look = everybody(role("ota"))
    look.models["nest", "a-b", 0] = model("failed")
    verdict = roles(patient(tmp_path, models=models, sections=sections, looked=look))
    assert helps(verdict, "ok", "8 of 8 roles are ready", "")


def test_a_slow_broker_and_old_roles_are_worth_a_look(tmp_path: Path) -> None:
    assert broker(patient(tmp_path, looked=Look(round_trip_ms=2.0))).status == "ok"
    assert helps(broker(patient(tmp_path, looked=Look(round_trip_ms=900.0))), "warn", "took 900 ms", "journalctl")
    assert versions(patient(tmp_path, looked=everybody())).status == "ok"
    old = versions(patient(tmp_path, looked=everybody(role("monitor", version="0.0.9"))))
    assert helps(old, "warn", "monitor 0.0.9", "roost upgrade")


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The capture role runs."""
    lock = folder / "data" / "sessions" / "capture-box.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def seen(tmp_path: Path, state: RoleState | None, *, later_s: int = 0, source: str = "synthetic") -> Verdict:
    clock = VirtualClock(wall_ns=HEAD["timestamp"] * MS + later_s * SECOND)
    look = Look(roles={} if state is None else {state.role: state})
    text = CAMERA.replace("folder", source)
    device = patient(tmp_path, sections=text, clock=clock, looked=look)
    with held(tmp_path):
        return camera(device, "box")


def test_a_running_camera_is_judged_by_the_age_of_its_frames(tmp_path: Path) -> None:
    lively = role("capture-box", counts={"frames": 70})
    assert helps(seen(tmp_path, lively, later_s=2), "ok", "newest of 70 frames 2.0 s ago", "")
    stalled = seen(tmp_path, lively, later_s=60)
    assert helps(stalled, "fail", "no frame for 60 s", "[cameras.box]")
    assert "journalctl -u roost-capture@box" in stalled.remedy
    assert seen(tmp_path, lively, later_s=60, source="folder").status == "ok"  # a picture now and then is all it has
    done = role("capture-box", counts={"frames": 9, "finished": 1}, detail="capturing finished: end of the source")
    assert helps(seen(tmp_path, done, later_s=9_000), "ok", "end of the source", "")
    assert helps(seen(tmp_path, role("capture-box")), "warn", "no frame yet", "Ask again")


@pytest.mark.parametrize(("state", "found"), [
    (None, "says nothing"),
    (role("capture-box", "starting"), "is starting"),
    (role("capture-box", "failed", detail="No camera."), "is failed: No camera."),
])  # fmt: skip
def test_a_camera_whose_role_hangs_while_it_opens_it_is_a_failure(
    tmp_path: Path, state: RoleState | None, found: str
) -> None:
    assert helps(seen(tmp_path, state), "fail", found, "[cameras.box]")


def test_lines_that_refused_a_bundle_and_a_registry_that_is_away_are_told(tmp_path: Path) -> None:
    def said(*lines: OtaLine, problem: str = "") -> Verdict:
        state = OtaState(**HEAD, node="coop-1", version=VERSION, lines=list(lines), problem=problem)
        return ota(patient(tmp_path, looked=Look(ota=state)))

    line = OtaLine(task="nest", model="a", bundle="hen", phase="idle")
    assert said(line).status == "ok"
    bad = OtaLine(task="nest", model="a", bundle="hen", phase="failed", wanted="2.0.0", problem="goldens differ")
    assert helps(said(bad), "warn", "nest/a refused 2.0.0: goldens differ", "roost ota status")
    assert helps(said(line, problem="It does not answer."), "warn", "It does not answer.", "roost ota status")
    assert helps(ota(patient(tmp_path, looked=Look())), "warn", "nothing yet", "Start it")


@pytest.mark.parametrize(("counts", "detail", "status", "found"), [
    ({"link": 1, "queued": 3}, "", "ok", "3 messages wait"),
    ({"link": 0, "queued": 70, "oldest-age-ms": 5_000}, "", "warn", "The centre is away; 70 messages wait"),
    ({"link": 1, "queued": 7, "oldest-age-ms": 7_200_000}, "", "warn", "the oldest for 120 min"),
    ({"link": 1, "denied": 4}, "", "fail", "refused 4 messages"),
    ({"link": 1}, "the medium is full: nothing is taken from the broker", "fail", "medium is full"),
])  # fmt: skip
def test_what_waits_for_the_centre_is_told(
    tmp_path: Path, counts: dict[str, int], detail: str, status: str, found: str
) -> None:
    look = Look(roles={"gateway": role("gateway", counts=counts, detail=detail)})
    verdict = gateway(patient(tmp_path, looked=look))
    assert helps(verdict, status, found, "")
    assert bool(verdict.remedy) == (status != "ok")


def test_a_gateway_that_does_not_run_is_a_failure(tmp_path: Path) -> None:
    assert helps(gateway(patient(tmp_path, looked=Look())), "fail", "has said nothing", "log")
    gone = Look(roles={"gateway": role("gateway", "gone")})
    assert helps(gateway(patient(tmp_path, looked=gone)), "fail", "is gone", "log")
