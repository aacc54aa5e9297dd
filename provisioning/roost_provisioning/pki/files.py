"""The authority's folder: which file is what. Public files are for everybody, keys are 0600, roots' keys elsewhere.

    authority.json              how long things are valid
    ledger.db                   what was issued, revoked and allowed (`ledger`)
    roots/1.pem, 2.pem …        the roots that are believed; roots/2-by-1.pem: what the first says of the second
    issuing/1.pem, 1.key …      issuing authorities; the last one signs, the earlier ones keep their revocation lists
    public/trust.pem, crl.pem   what devices and brokers are given
    <root keys>/root-1.key      the private keys of roots, on a stick: only `init` and `rotate` need them

A certificate is written after its key: where there is a certificate, there is its key.
"""

from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from roost_broker.durable import make_folder, sync, write_durably
from roost_broker.errors import Malformed, Misuse
from roost_edge.enrolment import trust
from roost_provisioning.pki.profile import Signer

Passphrase = Callable[[Path], bytes | None]


class AuthorityFolder:
    """Paths, and the certificates and keys in them. Raises `Malformed` for what is damaged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = folder / "authority.json"
        self.ledger = folder / "ledger.db"
        self.trust = folder / "public" / "trust.pem"
        self.crl = folder / "public" / "crl.pem"
        self._roots = folder / "roots"
        self._issuing = folder / "issuing"

    def check(self) -> None:
        """Raise `Misuse` when there is no authority here."""
        if not self.settings.is_file():
            raise Misuse(
                f"There is no authority in {self.folder}.",
                "Name its folder (--authority DIR), or begin one: roost pki init.",
            )

    def make(self) -> None:
        """The folders, which nobody else may look into."""
        for one in (self.folder, self._roots, self._issuing, self.trust.parent):
            make_folder(one)
        self.folder.chmod(0o700)

    def roots(self) -> dict[int, x509.Certificate]:
        """The roots that are believed, by number."""
        return {number: _certificate(path) for number, path in _numbered(self._roots)}

    def crosses(self) -> dict[tuple[int, int], x509.Certificate]:
        """What a root (the second number) says of another (the first)."""
        found = {}
        for path in sorted(self._roots.glob("*-by-*.pem")):
            new, _, by = path.stem.partition("-by-")
            if new.isdigit() and by.isdigit():
                found[int(new), int(by)] = _certificate(path)
        return found

    def issuers(self) -> dict[int, x509.Certificate]:
        """All issuing authorities, by number."""
        return {number: _certificate(path) for number, path in _numbered(self._issuing)}

    def issuer(self, number: int) -> Signer:
        """One of them, with its key."""
        certificate = _certificate(self._issuing / f"{number}.pem")
        return Signer(certificate, open_key(self._issuing / f"{number}.key", lambda _: None))

    def add_root(self, number: int, certificate: x509.Certificate, crosses: dict[int, x509.Certificate]) -> None:
        """A further root; what older ones say of it first, so that no bundle ever holds one that nobody vouches for."""
        for by, cross in crosses.items():
            _write(self._roots / f"{number}-by-{by}.pem", trust.pem([cross]))
        _write(self._roots / f"{number}.pem", trust.pem([certificate]))

    def drop_root(self, number: int) -> None:
        """Believe a root no longer."""
        (self._roots / f"{number}.pem").unlink()
        sync(self._roots)

    def add_issuer(self, number: int, signer: Signer) -> None:
        """A further issuing authority, which signs from now on."""
        save_key(self._issuing / f"{number}.key", signer.key, None)
        _write(self._issuing / f"{number}.pem", trust.pem([signer.certificate]))

    def drop_issuer(self, number: int) -> None:
        """Forget an issuing authority of which nothing is valid any more; its key first becomes useless."""
        (self._issuing / f"{number}.pem").unlink()
        (self._issuing / f"{number}.key").unlink(missing_ok=True)
        sync(self._issuing)

    def chain(self, issuer: x509.Certificate) -> list[x509.Certificate]:
        """What is between a certificate and the oldest root that anybody may still know it by."""
        found = [issuer]
        crosses = self.crosses()
        number = next((one for one, root in self.roots().items() if root.subject == issuer.issuer), 0)
        while older := [by for new, by in crosses if new == number]:
            found.append(crosses[number, max(older)])
            number = max(older)
        return found

    def bundle(self, signing: x509.Certificate) -> str:
        """The trust bundle: the root above the authority that signs now, the other roots, then what roots say of each
        other, retired ones too: a device that slept through two rotations finds its way from the root it knows.
        """
        roots = [root for _, root in sorted(self.roots().items(), reverse=True)]
        roots.sort(key=lambda root: root.subject != signing.issuer)
        return trust.pem([*roots, *self.crosses().values()])


def save_key(path: Path, key: EllipticCurvePrivateKey, passphrase: bytes | None) -> None:
    """Write a private key, durably, for its owner only; encrypted with a passphrase if there is one."""
    protection = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    write_durably(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection), mode=0o600)


def open_key(path: Path, passphrase: Passphrase) -> EllipticCurvePrivateKey:
    """A private key. Raises `Misuse` when it is not there or cannot be opened."""
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise Misuse(
            f"The key {path} cannot be read: {error.strerror}.",
            "Plug the stick in and name its folder: --root-keys DIR."
            if path.name.startswith("root-")
            else "Restore it from a backup, or make a new issuing authority: roost pki rotate.",
        ) from error
    phrase = passphrase(path) if b"ENCRYPTED" in pem[:60] else None
    try:
        key = load_pem_private_key(pem, phrase)
    except (ValueError, TypeError) as error:
        why = "wrong passphrase, or damaged" if phrase else "it is damaged, or needs a passphrase"
        raise Misuse(
            f"{path} cannot be opened: {why}.", "Give it with --passphrase-file, or in $ROOST_KEY_PASSPHRASE."
        ) from error
    if not isinstance(key, EllipticCurvePrivateKey):
        raise Misuse(f"{path} is not a key of this authority.", "Give the folder that `roost pki init` wrote it to.")
    return key


def root_key(folder: Path, number: int) -> Path:
    """Where the private key of a root is."""
    return folder / f"root-{number}.key"


def _write(path: Path, text: str) -> None:
    write_durably(path, text.encode("ascii"), mode=0o644)


def _certificate(path: Path) -> x509.Certificate:
    try:
        return trust.certificates(path.read_bytes())[0]
    except (OSError, Malformed) as error:
        raise Malformed(f"{path} cannot be read: {error}.", "Restore the authority from a backup.") from error


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    return sorted((int(path.stem), path) for path in folder.glob("*.pem") if path.stem.isdigit())
