"""Private keys in folders: made here, found by their id, encrypted when a passphrase is given.

One file a key, `<role>-<key id>.pem` (PKCS 8, mode 0600), so that one sees what a stick holds without opening it. A
folder of offline keys is only needed while it is signed with.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner, Key

from roost_broker.durable import write_durably
from roost_broker.errors import Misuse

Passphrase = Callable[[Path], bytes | None]
"""Asked for the passphrase of a key file, or of a folder where keys are about to be made; None: there is none."""


def no_passphrase(_: Path) -> bytes | None:
    """Keys without a passphrase."""
    return None


class KeyRing:
    """Folders of private keys, and the keys that were opened so far."""

    def __init__(self, folders: Sequence[Path], passphrase: Passphrase = no_passphrase) -> None:
        self.folders = list(folders)
        self._passphrase = passphrase
        self._open: dict[str, CryptoSigner] = {}

    def has(self, keyid: str) -> bool:
        """Whether the private key is in one of the folders; it is not opened."""
        return self._file(keyid) is not None

    def folder_of(self, keyid: str) -> Path | None:
        """The folder that holds the private key."""
        path = self._file(keyid)
        return None if path is None else path.parent

    def signer(self, keyid: str) -> CryptoSigner | None:
        """The key, opened; None when it is in none of the folders. Raises `Misuse` when it cannot be opened."""
        if keyid not in self._open and (path := self._file(keyid)) is not None:
            self._open[keyid] = self._opened(path, keyid)
        return self._open.get(keyid)

    def opened(self) -> list[str]:
        """Ids of the keys that were opened or made so far."""
        return list(self._open)

    def make(self, role: str, folder: Path) -> Key:
        """A new key for a role, its private part durably in `folder`. Returns the public part."""
        private = Ed25519PrivateKey.generate()
        signer = CryptoSigner(private)
        phrase = self._passphrase(folder)
        protection = BestAvailableEncryption(phrase) if phrase else NoEncryption()
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"{role}-{signer.public_key.keyid}.pem"
        write_durably(path, pem, mode=0o600)
        self._open[signer.public_key.keyid] = signer
        if folder not in self.folders:
            self.folders.append(folder)
        return signer.public_key

    def forget(self, keyid: str, folder: Path) -> bool:
        """Delete the private key from this one folder; whether it was there."""
        self._open.pop(keyid, None)
        found = list(folder.glob(f"*-{keyid}.pem"))
        for path in found:
            path.unlink()
        return bool(found)

    def _file(self, keyid: str) -> Path | None:
        return next((path for folder in self.folders for path in folder.glob(f"*-{keyid}.pem")), None)

    def _opened(self, path: Path, keyid: str) -> CryptoSigner:
        pem = path.read_bytes()
        phrase = self._passphrase(path) if b"ENCRYPTED" in pem.splitlines()[0] else None
        try:
            private = load_pem_private_key(pem, phrase)
            if not isinstance(private, Ed25519PrivateKey):
                raise Misuse(f"{path.name} is not an Ed25519 key.", "Give the folder that the registry's keys are in.")
            signer = CryptoSigner(private)
        except (ValueError, TypeError) as error:
            why = "wrong passphrase, or damaged" if phrase else "it needs a passphrase"
            raise Misuse(
                f"{path.name} cannot be opened: {why}.",
                "Give it with --passphrase-file, or in $ROOST_KEY_PASSPHRASE.",
            ) from error
        if signer.public_key.keyid != keyid:
            raise Misuse(f"{path.name} holds another key than its name says.", "Restore it from its backup.")
        return signer
