import pytest

from roost_broker.centre.access import NatsAccess
from roost_broker.centre.nats_server import find_nats_server
from roost_broker.centre.nats_settings import NatsSettings, render
from roost_broker.errors import Misuse

OPEN = "0.0.0.0"  # noqa: S104  # what must be refused
FILES = {"certificate": "c", "key": "k"}


def test_a_server_on_loopback_needs_nothing_more() -> None:
    text = render(NatsSettings(folder="/x"))
    assert 'listen: "127.0.0.1:4222"' in text
    assert "tls" not in text
    assert "cluster" not in text


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"host": OPEN}, "unencrypted"),
        ({"host": "192.0.2.1"}, "unencrypted"),
        ({"host": OPEN, **FILES}, "anybody"),
        (
            {"host": OPEN, "certificate": "c", "key": "k", "users_file": "u", "cluster": "x", "routes": ("a",) * 3},
            "know",
        ),
        ({"certificate": "c"}, "belong together"),
        ({"cluster": "x", "routes": ("a:1",)}, "three servers"),
        ({"port": 0}, "from 1"),
        ({"folder": '/x"\njetstream: off'}, "control characters"),
    ],
)
def test_what_would_be_open_or_cannot_work_is_refused(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(Misuse, match=problem):
        NatsSettings(**fields)  # type: ignore[arg-type]  # the wrong values are the point


def test_with_certificates_of_clients_it_may_listen_on_a_network() -> None:
    text = render(NatsSettings(host=OPEN, certificate="/c.pem", key="/k.pem", ca="/ca.pem", folder="/x"))
    assert "verify: true" in text
    assert f'listen: "{OPEN}:4222"' in text


def test_the_servers_of_a_cluster_encrypt_what_they_say_to_each_other() -> None:
    settings = NatsSettings(
        host="192.0.2.1",
        certificate="/c.pem",
        key="/k.pem",
        ca="/ca.pem",
        cluster="roost",
        routes=("a:6222", "b:6222", "c:6222"),
    )
    text = render(settings)
    assert text.count("verify: true") == 2
    assert '"nats-route://b:6222"' in text


def test_a_program_that_is_not_there_is_told_with_how_to_install_it() -> None:
    with pytest.raises(Misuse, match="apt-get install"):
        find_nats_server("/nowhere")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"urls": ()}, "No address"),
        ({"urls": ("http://x",)}, "no address"),
        ({"urls": ("nats://a:b@127.0.0.1",)}, "password"),
        ({"urls": ("nats://centre.example:4222",)}, "not encrypted"),
        ({"urls": ("tls://centre.example:4222",)}, "who we are"),
        ({"certificate": "c"}, "belong together"),
        ({"user": "u"}, "belong together"),
        ({"connect_timeout_s": 0}, "seconds"),
    ],
)
def test_an_access_that_is_unsafe_or_incomplete_is_refused(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(Misuse, match=problem):
        NatsAccess(**fields)  # type: ignore[arg-type]  # the wrong values are the point


def test_beyond_this_machine_with_tls_and_a_password_is_fine() -> None:
    access = NatsAccess(urls=("tls://centre.example:4222",), user="u", password_file="p")  # noqa: S106  # a file's name
    assert access.tls() is not None
    assert NatsAccess().tls() is None


def test_files_that_cannot_be_used_are_named() -> None:
    with pytest.raises(Misuse, match="ca, certificate"):
        NatsAccess(ca="/nowhere.pem").tls()
    with pytest.raises(Misuse, match="password_file"):
        NatsAccess(user="u", password_file="/nowhere").password()  # noqa: S106  # a file's name
