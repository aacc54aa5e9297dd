"""Planted secrets are found in settings and in words."""

import tomllib

import pytest

from roost_edge.page import redacting

SETTINGS = """
[broker]
password = "hunter2-hunter2"
passwords = "/etc/roost/broker/passwords"
host = "127.0.0.1"
[cameras.yard]
task = "nest"
source = "opencv"
url = "rtsp://admin:s3cr3t-cam@10.0.0.7:554/stream?token=qqqq"
[[alerts.services]]
apprise = "tgram://123456789:AAExampleBotTokenThatIsLong/4242"
[state.x]
webhook = "https://hooks.example.org/services/T000/B000/XXXXPLANTED"
[tasks.nest]
schedule = "s.toml"
"""
PLANTED = ("hunter2", "s3cr3t-cam", "qqqq", "AAExampleBotToken", "XXXXPLANTED", "admin")


def test_no_planted_secret_is_left_in_the_settings_and_the_rest_is() -> None:
    shown, _ = redacting.settings(tomllib.loads(SETTINGS))
    for secret in PLANTED:
        assert secret not in str(shown)
    assert shown["broker"]["host"] == "127.0.0.1"
    assert shown["cameras"]["yard"]["task"] == "nest"
    assert shown["tasks"] == {"nest": {"schedule": "s.toml"}}


def test_what_was_a_secret_in_the_settings_is_one_in_the_logs() -> None:
    _, secrets = redacting.settings(tomllib.loads(SETTINGS))
    assert "hunter2" not in redacting.text("connected as x with hunter2-hunter2 to it", secrets)
    assert "s3cr3t-cam" not in redacting.text("the camera s3cr3t-cam said no", secrets)


@pytest.mark.parametrize(
    "said",
    [
        "password=PLANTED-1",
        '{"password": "PLANTED-1"}',
        "Authorization: Bearer PLANTED-1PLANTED-1PLANTED-1",
        "opened rtsp://user:PLANTED-1@cam/stream",
        "posted to https://api.example.org/bot/PLANTED-1",
        "tgram://PLANTED-1/4242",
        "-----BEGIN PRIVATE KEY-----\nPLANTED-1\n-----END PRIVATE KEY-----",
        "-----BEGIN EC PRIVATE KEY-----\nPLANTED-1 and cut off",
        "access_token: 'PLANTED-1'",
        "the key was PLANTED1xyzPLANTED1xyzPLANTED1xyzPLANTED1xyz of it",
    ],
)
def test_what_looks_like_a_secret_is_one(said: str) -> None:
    assert "PLANTED" not in redacting.text(said, ())


@pytest.mark.parametrize(
    "said",
    [
        "the frame 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef is gone",
        "model champion is ready after 812 ms",
        "The page's password is set.",
        "mqtt://127.0.0.1:1883 is back",
    ],
)
def test_what_helps_stays(said: str) -> None:
    assert redacting.text(said, ()) == said
