"""Signing requests, damaged and hostile: a clear refusal, never anything else."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.errors import Malformed
from roost_edge.enrolment import keys
from roost_provisioning.pki.signing_requests import MAX_CHARACTERS, key_id, key_of

KEY = keys.read_key(keys.new_key())
GOOD = keys.signing_request(KEY, "device:nest-a")


def request(key, algorithm: SHA256 | None = None) -> str:
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, algorithm)
    return made.public_bytes(Encoding.PEM).decode()


def test_a_good_one_gives_its_key() -> None:
    assert key_of(GOOD) == KEY.public_key()
    assert len(key_id(key_of(GOOD))) == 64


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----",
        GOOD.replace("CERTIFICATE REQUEST", "CERTIFICATE"),
        GOOD[: len(GOOD) // 2],
        GOOD + "é",
        "A" * (MAX_CHARACTERS + 1),
        keys.new_key().decode(),
        request(ec.generate_private_key(ec.SECP384R1()), SHA256()),
        request(ed25519.Ed25519PrivateKey.generate()),
        request(rsa.generate_private_key(65_537, 2048), SHA256()),
    ],
)
def test_what_is_none_or_of_another_key_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        key_of(text)


def test_one_that_is_signed_by_another_key_is_refused() -> None:
    der = bytearray(x509.load_pem_x509_csr(GOOD.encode()).public_bytes(Encoding.DER))
    mine = KEY.public_key().public_numbers().x.to_bytes(32, "big")
    other = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
    at = der.find(mine)
    der[at : at + 64] = other.x.to_bytes(32, "big") + other.y.to_bytes(32, "big")
    swapped = x509.load_der_x509_csr(bytes(der)).public_bytes(Encoding.PEM).decode()
    with pytest.raises(Malformed, match="not signed with its own key"):
        key_of(swapped)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_damaged_byte_gives_a_refusal_or_the_same_key(at: int, value: int) -> None:
    import base64

    der = bytearray(x509.load_pem_x509_csr(GOOD.encode()).public_bytes(Encoding.DER))
    der[at % len(der)] = value
    body = base64.encodebytes(bytes(der)).decode()
    try:
        found = key_of(f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n")
    except Malformed:
        return
    assert found == KEY.public_key()


@given(st.text(max_size=300))
def test_any_text_is_a_refusal(text: str) -> None:
    with pytest.raises(Malformed):
        key_of(text)
