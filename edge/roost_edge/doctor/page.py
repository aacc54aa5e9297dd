"""The device's page: whether it answers, and whether it is locked as the settings want it."""

import socket
import ssl
from pathlib import Path

from roost_broker.errors import Misuse
from roost_edge.doctor.findings import Verdict, fail, ok, warn
from roost_edge.doctor.patient import Patient
from roost_edge.page import password
from roost_edge.page.settings import PageSettings

_ANSWER_S = 5.0
_START = "Its log says more: journalctl -u roost-page, or logs/page.log in the data folder."
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # where to ask what listens everywhere


def page(patient: Patient) -> Verdict:
    """Password, certificate, answer."""
    own = patient.settings.page or PageSettings()
    try:
        known = password.read(patient.settings.layout.page_password)
    except Misuse as error:
        return fail(error.problem, error.remedy)
    if known is None and not own.local:
        return fail("The page has no password, so it does not begin.", "Set one: roost page password.")
    for name in ("tls_certificate", "tls_key"):
        file = getattr(own, name)
        if file and not Path(file).is_file():
            return fail(f"There is no {file}, which page.{name} names.", "Write it there, or take both out.")
    if own.port and (problem := _silent(own, patient.patience)):
        return fail(f"The page does not answer: {problem}.", _START)
    if known is None:
        return warn("The page answers, and only shows: it has no password.", "Set one: roost page password.")
    return ok(f"It answers at {own.host}:{own.port or 'a port of its own choice'}, behind a password.")


def _silent(own: PageSettings, patience: float) -> str:
    """Why nothing was heard of it; empty: it answered."""
    try:
        address = (_ANY.get(own.host, own.host), own.port)
        with socket.create_connection(address, timeout=_ANSWER_S * patience) as plain:
            if own.secure:
                context = ssl.create_default_context()
                # It is asked whether it lives, by whoever can read its key: nothing is told to it.
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                with context.wrap_socket(plain) as wrapped:
                    return _asked(wrapped)
            return _asked(plain)
    except OSError as error:
        return error.strerror or str(error)


def _asked(connection: socket.socket) -> str:
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    said = connection.recv(64)
    return "" if said.startswith(b"HTTP/1.1 200") else "something else has its port"
