"""From settings to units and drop-ins, without any systemd."""

import msgspec
import pytest

from roost_broker.errors import Misuse
from roost_edge.processes.named import every
from roost_edge.processes.plan import KINDS, RoleProcess
from roost_edge.settings.device import Settings
from roost_edge.units.names import FLOCK_UNIT, SHARED, TARGET, target_of, template_of, unit_for, unit_of
from roost_edge.units.planned import DROP_IN, SYSTEM, drop_in, planned
from roost_edge.units.shipped import shipped

MODELS = {"champion": {"bundle": "/b/c"}, "fast": {"bundle": "/b/f", "memory_mb": 64, "cpu_percent": 50}}


def settings(**changes: object) -> Settings:
    document: dict[str, object] = {
        "node": {"name": "pi1", "data": "/var/lib/roost"},
        "broker": {"passwords": "/etc/roost/broker/passwords"},
        "tasks": {"nest": {"schedule": "/s.toml", "models": MODELS}},
        "cameras": {"door": {"task": "nest"}},
        **changes,
    }
    return msgspec.convert(document, Settings)


def role(device: Settings, name: str) -> RoleProcess:
    return next(one for one in every(device) if one.name == name)


def test_every_kind_of_role_has_a_unit() -> None:
    texts = shipped()
    for kind in KINDS:
        assert template_of(RoleProcess(kind)) in texts


def test_a_role_is_an_instance_of_its_kind_and_a_role_of_the_device_has_its_own() -> None:
    champion = RoleProcess("model", "nest", "champion", replica=2)
    assert unit_of(champion) == "roost-model@nest-champion-2.service"
    assert target_of(champion) == "roost-models.target"
    assert unit_of(RoleProcess("rendezvous", "nest", slot="b")) == "roost-rendezvous@nest-b.service"
    assert unit_of(RoleProcess("monitor")) == "roost-monitor.service"
    assert target_of(RoleProcess("monitor")) == "roost.target"


def test_the_unit_runs_the_role_it_is_named_for() -> None:
    texts = shipped()
    for one in every(settings()):
        instance = unit_of(one).partition("@")[2].removesuffix(".service")
        text = texts[template_of(one)].replace("%i", instance)
        assert f"-m roost_edge.daemon --name {one.name} --settings /etc/roost/roost.toml\n" in text


def test_every_role_gets_its_own_password_and_no_other() -> None:
    device = settings()
    for one in every(device):
        assert f"LoadCredential=mqtt:/etc/roost/broker/passwords/{one.name}\n" in drop_in(device, one)
    assert "LoadCredential" not in drop_in(settings(broker={}), role(device, "model-nest-champion"))


def test_on_a_compact_device_those_beside_the_flow_share_a_unit_and_each_keeps_its_password() -> None:
    device = settings(node={"name": "pi1", "data": "/var/lib/roost", "compact": True})
    plan = planned(device, shipped())
    together = {one.name for one in every(device) if unit_for(device, one) == SHARED}
    assert together == {"decoy-nest", "monitor", "alerts", "desk"}
    own = {unit_of(role(device, name)) for name in together}
    assert (TARGET, SHARED) in plan.wants
    assert not own & {unit for _, unit in plan.wants}
    text = plan.files[f"{SYSTEM}/{SHARED}.d/{DROP_IN}"]
    for name in together:
        assert f"LoadCredential=mqtt-{name}:/etc/roost/broker/passwords/{name}\n" in text
    assert text.count("LoadCredential") == len(together)


def test_on_a_compact_device_the_models_have_one_unit_with_their_passwords_folders_and_bounds_together() -> None:
    device = settings(node={"name": "pi1", "data": "/var/lib/roost", "compact": True})
    plan = planned(device, shipped())
    flock = ("model-nest-champion", "model-nest-fast")
    assert {unit_for(device, role(device, name)) for name in flock} == {FLOCK_UNIT}
    assert ("roost-models.target", FLOCK_UNIT) in plan.wants
    assert not any(wanted.startswith("roost-model@") for _, wanted in plan.wants)
    text = plan.files[f"{SYSTEM}/{FLOCK_UNIT}.d/{DROP_IN}"]
    for name in flock:
        assert f"LoadCredential=mqtt-{name}:/etc/roost/broker/passwords/{name}\n" in text
        assert f"StateDirectory=roost/internal-state/{name}\n" in text
    assert "MemoryHigh=201M\nMemoryMax=224M\nMemorySwapMax=0\nCPUQuota=150%\nTasksMax=128\n" in text
    assert "IPAddress" not in text


def test_the_unit_of_a_flock_may_no_more_than_that_of_a_model() -> None:
    texts = shipped()
    rights = ("User=", "Group=", "IPAddress", "RestrictAddressFamilies=", "PrivateDevices=", "InaccessiblePaths=")
    rights += ("MemoryDenyWriteExecute=", "CapabilityBoundingSet=", "SystemCallFilter=", "ReadWritePaths=", "Slice=")
    model, flock = (
        [line for line in texts[name].splitlines() if line.startswith(rights)]
        for name in ("roost-model@.service", FLOCK_UNIT)
    )
    assert model
    assert flock == model


def test_unless_the_settings_say_so_every_role_has_a_unit_to_itself() -> None:
    plan = planned(settings(), shipped())
    assert not {SHARED, FLOCK_UNIT} & {unit for _, unit in plan.wants}
    assert f"{SYSTEM}/{FLOCK_UNIT}.d/{DROP_IN}" not in plan.files
    assert f"{SYSTEM}/{SHARED}.d/{DROP_IN}" not in plan.files


def test_the_shared_unit_may_what_each_of_its_roles_may() -> None:
    texts = shipped()
    shared = set(texts[SHARED].splitlines())
    for kind in ("decoy", "monitor", "alerts", "desk", "page"):
        own = texts[template_of(RoleProcess(kind, "nest" if kind == "decoy" else ""))].splitlines()
        rights = {line for line in own if line.startswith(("ReadWritePaths=", "SupplementaryGroups=", "DeviceAllow="))}
        assert rights <= shared
    assert not any(line.startswith("IPAddressDeny=") for line in shared)


def test_each_model_has_its_own_limits() -> None:
    device = settings()
    assert "MemoryMax=160M\nMemorySwapMax=0\nCPUQuota=100%\n" in drop_in(device, role(device, "model-nest-champion"))
    assert "MemoryHigh=57M\nMemoryMax=64M\nMemorySwapMax=0\nCPUQuota=50%\n" in drop_in(
        device, role(device, "model-nest-fast")
    )
    assert "MemoryMax" not in drop_in(device, role(device, "monitor"))


def test_the_second_slot_of_a_model_that_is_kept_up_to_date_has_the_limits_of_the_first() -> None:
    models = {"champion": {**MODELS["champion"], "ota": "bird", "memory_mb": 96}}
    device = settings(tasks={"nest": {"schedule": "/s.toml", "models": models}})
    text = drop_in(device, role(device, "model-nest-champion-b"))
    assert "ConditionPathExists=/var/lib/roost/ota/lines/nest/champion.json\n" in text
    assert "MemoryMax=96M\n" in text


def test_a_second_slot_is_looked_at_only_once_there_was_a_hand_over() -> None:
    device = settings()
    text = drop_in(device, role(device, "rendezvous-nest-b"))
    assert "ConditionPathExists=|/var/lib/roost/slots/rendezvous-nest\n" in text
    assert "ConditionPathExists=|/run/roost/standby/rendezvous-nest-b\n" in text
    assert "Condition" not in drop_in(device, role(device, "rendezvous-nest"))


@pytest.mark.parametrize(
    ("camera", "device", "network"),
    [
        ({"source": "synthetic"}, False, False),
        ({"source": "picamera"}, True, False),
        ({"source": "opencv", "device": 1}, True, False),
        ({"source": "opencv", "url": "rtsp://camera/1"}, False, True),
    ],
)
def test_a_camera_sees_devices_or_the_network_only_where_it_needs_them(
    camera: dict[str, object], device: bool, network: bool
) -> None:
    found = settings(cameras={"door": {"task": "nest", **camera}})
    text = drop_in(found, role(found, "capture-door"))
    assert ("PrivateDevices=yes\n" not in text) == device
    assert ("IPAddressDeny=\n" in text) == network


def test_roles_reach_a_broker_on_another_machine() -> None:
    elsewhere = settings(broker={"host": "10.0.0.7"})
    assert "IPAddressDeny=\nIPAddressAllow=\n" in drop_in(elsewhere, role(elsewhere, "monitor"))
    assert drop_in(settings(broker={"host": "localhost"}), role(elsewhere, "monitor")) == ""


def test_data_elsewhere_is_refused_because_the_units_name_the_folder() -> None:
    with pytest.raises(Misuse, match="the data folder is /var/lib/roost"):
        planned(settings(node={"name": "pi1", "data": "/home/pi/roost"}), shipped())


def test_a_unit_that_is_not_shipped_is_refused_rather_than_enabled() -> None:
    without = {name: text for name, text in shipped().items() if name != "roost-decoy@.service"}
    with pytest.raises(Misuse, match="no unit for decoy-nest"):
        planned(settings(), without)


def test_what_is_wanted_is_what_the_settings_have() -> None:
    wants = planned(settings(), shipped()).wants
    assert ("roost-models.target", "roost-model@nest-fast.service") in wants
    assert ("roost-cameras.target", "roost-capture@door.service") in wants
    assert ("roost.target", "roost-units.socket") in wants
    assert not any("gateway" in unit or "proxy" in unit or "ota" in unit for _, unit in wants)


def test_inputs_are_looked_at_on_a_schedule_unless_the_analytics_are_off() -> None:
    timer = ("roost.target", "roost-features.timer")
    assert timer in planned(settings(), shipped()).wants
    assert timer not in planned(settings(analytics={"enabled": False}), shipped()).wants


def test_journal_and_hardware_watchdog_are_the_settings_own() -> None:
    files = planned(settings(), shipped()).files
    assert "RuntimeWatchdogSec=15s\n" in files["etc/systemd/system.conf.d/20-roost.conf"]
    assert "Storage=volatile\nRuntimeMaxUse=24M\n" in files["etc/systemd/journald.conf.d/20-roost.conf"]
    off = planned(settings(units={"hardware_watchdog_s": 0, "journal": "as-it-is"}), shipped()).files
    assert not any("system.conf.d" in place or "journald" in place for place in off)
    kept = planned(settings(units={"journal": "persistent", "journal_mb": 50}), shipped()).files
    assert "Storage=persistent\nSystemMaxUse=50M\n" in kept["etc/systemd/journald.conf.d/20-roost.conf"]


@pytest.mark.parametrize("wrong", [{"hardware_watchdog_s": 16}, {"journal_mb": 1}, {"journal": "none"}])
def test_what_a_pi_cannot_do_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        settings(units=wrong)


@pytest.mark.parametrize("wrong", [{"memory_mb": 1}, {"cpu_percent": 0}])
def test_limits_that_no_model_can_live_with_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        settings(tasks={"nest": {"schedule": "/s.toml", "models": {"m": {"bundle": "/b", **wrong}}}})


def test_no_file_is_planned_outside_etc() -> None:
    places = list(planned(settings(), shipped()).files)
    assert all(place.startswith("etc/") and ".." not in place for place in places)
    assert f"{SYSTEM}/roost.target" in places
    assert "etc/sysusers.d/roost.conf" in places
    assert "etc/tmpfiles.d/roost.conf" in places
