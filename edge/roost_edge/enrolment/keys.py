"""The device's key pair and what it signs with it once: a certificate signing request.

ECDSA on P-256: what Mosquitto, NATS, Python, browsers and the secure elements one can solder to a Pi all take.
"""

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from roost_broker.errors import Malformed


def new_key() -> bytes:
    """A new private key (PEM, PKCS 8, not encrypted)."""
    return generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def read_key(pem: bytes) -> EllipticCurvePrivateKey:
    """The key in a PEM text. Raises `Malformed`."""
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        raise Malformed("This is no private key.", "Remove the file: the device makes a new one.") from error
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise Malformed("This is no P-256 key.", "Remove the file: the device makes a new one.")
    return key


def public_bytes(key: EllipticCurvePrivateKey) -> bytes:
    """Its public half (DER), as it stands in a certificate."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def signing_request(key: EllipticCurvePrivateKey, name: str = "") -> str:
    """A CSR (PEM): the proof that whoever asks has the key. The name in it is a wish."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)] if name else [])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, SHA256())
    return request.public_bytes(Encoding.PEM).decode("ascii")
