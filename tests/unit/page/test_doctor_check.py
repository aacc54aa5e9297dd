"""`roost doctor --only page`: each failure provoked."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from roost_edge.doctor.page import page
from roost_edge.doctor.patient import Patient
from roost_edge.page import password
from roost_edge.settings.device import Settings


def patient(folder: Path, **section: object) -> Patient:
    document = {"node": {"name": "coop-1", "data": str(folder)}, "page": {"port": 0, **section}}
    return Patient(msgspec.convert(document, Settings))


@contextmanager
def answering(said: bytes) -> Iterator[int]:
    """Somebody who says this to whoever connects."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            caller, _ = server.accept()
            with caller:
                caller.recv(1000)
                caller.sendall(said)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def test_a_page_behind_a_password_that_answers_is_well(tmp_path: Path) -> None:
    password.write(tmp_path / "page" / "password", "three birds in a nest")
    with answering(b"HTTP/1.1 200 OK\r\n\r\n") as port:
        assert page(patient(tmp_path, port=port)).status == "ok"


def test_without_a_password_it_is_a_warning_with_the_command(tmp_path: Path) -> None:
    with answering(b"HTTP/1.1 200 OK\r\n\r\n") as port:
        found = page(patient(tmp_path, port=port))
    assert found.status == "warn"
    assert "roost page password" in found.remedy


def test_one_that_does_not_answer_or_is_somebody_else_is_a_failure(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    assert "does not answer" in page(patient(tmp_path, port=free)).found
    with answering(b"SSH-2.0-OpenSSH\r\n") as port:
        found = page(patient(tmp_path, port=port))
    assert (found.status, "something else" in found.found) == ("fail", True)


def test_a_password_that_others_can_read_is_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "page" / "password"
    password.write(path, "three birds in a nest")
    path.chmod(0o604)
    found = page(patient(tmp_path))
    assert found.status == "fail"
    assert "chmod 600" in found.remedy


def test_beyond_this_machine_a_missing_password_or_certificate_is_a_failure(tmp_path: Path) -> None:
    outside = {"host": "0.0.0.0", "tls_certificate": str(tmp_path / "c.pem"), "tls_key": str(tmp_path / "k.pem")}  # noqa: S104  # what is examined
    assert "no password" in page(patient(tmp_path, **outside)).found
    password.write(tmp_path / "page" / "password", "three birds in a nest")
    found = page(patient(tmp_path, **outside))
    assert (found.status, "c.pem" in found.found) == ("fail", True)
