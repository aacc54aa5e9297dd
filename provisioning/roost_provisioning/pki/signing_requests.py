"""A CSR, as hostile as it may be, to the one thing that counts in it: a public key whose owner has signed it. Pure."""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from roost_broker.errors import Malformed

MAX_CHARACTERS = 10_000
_REMEDY = "Make it as `roost enrol` does: PEM, a P-256 key, signed with that key."


def key_of(csr: str) -> EllipticCurvePublicKey:
    """The key that the request is for. Raises `Malformed`: no request, another kind of key, or not signed with it."""
    if len(csr) > MAX_CHARACTERS:
        raise Malformed(f"The signing request has more than {MAX_CHARACTERS} characters.", _REMEDY)
    try:
        request = x509.load_pem_x509_csr(csr.encode("ascii"))
        key = request.public_key()
        signed = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise Malformed("This is no signing request that can be read.", _REMEDY) from error
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise Malformed("The signing request's key is not one of P-256.", _REMEDY)
    if not signed:
        raise Malformed("The signing request is not signed with its own key.", _REMEDY)
    return key


def key_id(key: EllipticCurvePublicKey) -> str:
    """SHA-256 of the public key, 64 hex digits: the same key is recognised by it."""
    digest = Hash(SHA256())
    digest.update(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return digest.finalize().hex()
