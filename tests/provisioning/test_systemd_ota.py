"""A bundle over the air on a device under systemd: the agent and its children work within what the unit allows."""

import json
import shutil
import tarfile
from pathlib import Path

from device_guest import BUNDLES, SETTINGS, device_base, install, is_ready, own_wheel, roost, standings, wait_until
from guests import Guest

from roost_models.bundle.folder import Bundle
from roost_models.bundle.writing import seal
from roost_models.registry.setting_up import Plan
from roost_models.registry.writer import Registry
from roost_models.rollout.document import BundleRef, Rollout

STANDING = "/var/lib/roost/ota/lines/henhouse/champion.json"
OTA = """
[ota]
registry = "/srv/registry"
root = "root.json"
poll_s = 1
retry_s = 1
report_s = 1
busy.motion = false
trial.min_requests = 5
limits.reserve_bytes = 0
"""


def next_version(folder: Path) -> Bundle:
    """The champion once more, as 0.2.0."""
    shutil.copytree(BUNDLES / "champion", folder)
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"version": "0.1.0"', '"version": "0.2.0"', 1))
    return seal(folder)


def put_folder(guest: Guest, folder: Path, place: str, scratch: Path) -> None:
    with tarfile.open(scratch, "w") as tar:
        tar.add(folder, ".")
    guest.put("/root/folder.tar", scratch)
    guest.run(["sh", "-c", f"mkdir -p {place} && tar -C {place} -xf /root/folder.tar && chmod -R a+rX {place}"])


def test_a_new_bundle_is_fetched_tried_and_answers_and_its_slots_are_units(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    root = registry.init(Plan(root_keys=tmp_path / "keys", targets_online=True))
    bundle = next_version(tmp_path / "bundle")
    registry.publish(bundle)
    what = BundleRef(name=bundle.manifest.name, version=bundle.manifest.version, digest=bundle.digest)
    registry.set_rollout(
        Rollout(
            rollout_id="first", generation=1, task="henhouse", bundle=what, state="running", shadow=1.0, serving=1.0
        )
    )
    champion = 'bundles/champion"\n'
    settings = SETTINGS.replace(champion, champion + 'ota = "henhouse-champion"\n') + OTA
    with Guest("sd-ota", device_base("bookworm")) as guest:
        install(guest, own_wheel("bookworm", tmp_path), settings=settings)
        guest.put("/etc/roost/root.json", root.decode())
        put_folder(guest, registry.public, "/srv/registry", tmp_path / "folder.tar")
        roost(guest, "units", "apply", "--base")
        roost(guest, "broker", "setup", "--settings", "/etc/roost/roost.toml")
        roost(guest, "units", "apply")
        guest.run(["systemctl", "enable", "--now", "--no-block", "roost.target"])
        try:
            wait_until(lambda: is_ready(guest, "ota", "model-henhouse-champion-b"), "the new bundle runs beside")
            wait_until(lambda: json.loads(guest.read(STANDING)).get("active") == "b", "the new bundle answers")
        except AssertionError as error:
            said = guest.run(["journalctl", "-b", "--no-pager", "-o", "cat", "-u", "roost-ota", "-u", "roost-units"])
            raise AssertionError(f"{error}\n{standings(guest)}\n{said.stdout[-6000:]}") from None
        guest.stop()
        guest.start()
        wait_until(lambda: is_ready(guest, "ota", "model-henhouse-champion-b"), "it answers after a restart, too")
