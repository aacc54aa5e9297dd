"""The doctor looks at identities as the fleet's own enrolment desk makes them."""

from pathlib import Path

import msgspec
from device_folder import write_schedule, write_settings
from enrolment_world import no_phrase, now, world

from roost_edge.doctor.findings import Verdict
from roost_edge.doctor.identity import identity
from roost_edge.doctor.patient import Patient
from roost_edge.enrolment.folder import IdentityFolder
from roost_edge.settings import loading
from roost_provisioning.pki import rotation


def test_what_the_desk_issues_is_well_through_rotations_until_it_is_revoked(tmp_path: Path) -> None:
    write_schedule(tmp_path, "bright")
    settings = loading.load(write_settings(tmp_path, node="barn", port=1883, bundles={"bright": "bright"}))

    def examined(device: IdentityFolder, lists: str) -> Verdict:
        """With the revocation lists that a later look at the desk brings."""
        device.crl.write_text(lists, encoding="ascii")
        data = tmp_path / "data" / device.root.name
        data.mkdir(parents=True, exist_ok=True)
        (data / "identity").unlink(missing_ok=True)
        (data / "identity").symlink_to(device.root)
        node = msgspec.structs.replace(settings.node, data=str(data))
        return identity(Patient(msgspec.structs.replace(settings, node=node)))

    with world(tmp_path / "fleet") as fleet:
        first = fleet.device("first", fleet.token(name="first"))
        with fleet.open() as authority:
            assert examined(first, authority.crl(now())).facts["name"] == "device:first"
            rotation.new_issuer(authority, fleet.stick, no_phrase, now(), at_once=True)
        second = fleet.device("second", fleet.token(name="second"))
        with fleet.open() as authority:
            rotation.new_root(authority, fleet.stick, no_phrase, now(), at_once=True)
        third = fleet.device("third", fleet.token(name="third"))
        with fleet.open() as authority:
            for device in (first, second, third):
                verdict = examined(device, authority.crl(now()))
                assert verdict.status == "ok", verdict
            authority.revoke("device:second", now(), "stolen")
            revoked = examined(second, authority.crl(now()))
            assert (revoked.status, "has been revoked" in revoked.found) == ("fail", True)
            assert examined(third, authority.crl(now())).status == "ok"
