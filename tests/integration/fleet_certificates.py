"""A fleet's authority for tests, with the product's own profiles: also what it would never issue."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from roost_broker.identities import Identity, identity
from roost_provisioning.pki import profile


def new_key() -> EllipticCurvePrivateKey:
    return generate_private_key(SECP256R1())


class Fleet:
    """A root and an issuing authority; `folder` gets what is written."""

    def __init__(self, folder: Path, name: str = "fleet") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.began = datetime.now(UTC) - timedelta(days=30)
        root_key, key = new_key(), new_key()
        self.root = profile.root(name, 1, root_key, self.began, 3650)
        issued = profile.issuing(name, 1, key.public_key(), profile.Signer(self.root, root_key), self.began, 365)
        self.issuing = profile.Signer(issued, key)
        self.count = 0
        self.revoked: list[profile.Revoked] = []
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(self.root.public_bytes(Encoding.PEM) + issued.public_bytes(Encoding.PEM))

    def certify(self, who: Identity, name: str, *, day: int = 30, days: int = 10) -> tuple[Path, Path]:
        """Certificate (with its issuer) and key as files; valid for `days` from `day` days after the fleet began."""
        key = new_key()
        self.count += 1
        leaf = profile.leaf(who, key.public_key(), self.issuing, self.began + timedelta(days=day), timedelta(days=days))
        certificate, private = self.folder / f"{name}-{self.count}.pem", self.folder / f"{name}-{self.count}.key"
        chain = leaf.public_bytes(Encoding.PEM) + self.issuing.certificate.public_bytes(Encoding.PEM)
        certificate.write_bytes(chain)
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate, private

    def person(self, kind: str, name: str, **when: int) -> tuple[Path, Path]:
        return self.certify(identity(kind, name), f"{kind}-{name}", **when)

    def revoke(self, certificate: Path) -> None:
        """From the next list on."""
        leaf = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
        self.revoked.append(profile.Revoked(leaf.serial_number, datetime.now(UTC)))

    def write_list(self, path: Path, number: int = 1, *, days: int = 7, began: int = 30) -> None:
        """The revocation list; with `began` and `days` also one that is past its date."""
        now = self.began + timedelta(days=began)
        found = profile.revocation_list(self.revoked, self.issuing, number, now, days)
        path.write_bytes(found.public_bytes(Encoding.PEM))

    def identity(self, folder: Path, node: str) -> None:
        """A device's identity, as enrolment leaves it."""
        folder.mkdir(parents=True, exist_ok=True)
        certificate, key = self.person("device", node)
        (folder / "device.pem").write_bytes(certificate.read_bytes())
        (folder / "device.key").write_bytes(key.read_bytes())
        (folder / "ca.pem").write_bytes(self.ca.read_bytes())
        self.write_list(folder / "crl.pem")
