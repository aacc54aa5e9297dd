from pathlib import Path

import pytest

from roost_broker.centre.layout import CentreLayout
from roost_broker.errors import Misuse
from roost_models.central.settings import TEMPLATE, CentreSettings, load


def written(folder: Path, text: str) -> CentreSettings:
    layout = CentreLayout(folder)
    layout.settings.parent.mkdir(parents=True, exist_ok=True)
    layout.settings.write_text(text, encoding="utf-8")
    return load(layout)


def test_the_file_that_is_written_for_a_new_centre_is_the_defaults(tmp_path: Path) -> None:
    assert written(tmp_path, TEMPLATE) == load(CentreLayout(tmp_path)) == written(tmp_path, "")


def test_what_is_commented_out_in_it_can_be_commented_in(tmp_path: Path) -> None:
    text = "\n".join(
        line.removeprefix("# ") if "=" in line or line.startswith("# [") else line for line in TEMPLATE.splitlines()
    )
    settings = written(tmp_path, text)
    assert settings.nats is not None
    assert settings.access.urls[0] == "tls://n1.example:4222"
    assert settings.streams.lanes["inputs"].max_age_days == 30


def test_file_names_are_relative_to_the_settings(tmp_path: Path) -> None:
    text = '[nats]\nurls = ["tls://c:4222"]\ncertificate = "tls/c.pem"\nkey = "/abs/k.pem"'
    settings = written(tmp_path, text)
    assert settings.nats is not None
    assert settings.nats.certificate == str(tmp_path / "tls/c.pem")
    assert settings.nats.key == "/abs/k.pem"


def test_the_servers_streams_lie_below_the_centre(tmp_path: Path) -> None:
    assert load(CentreLayout(tmp_path)).server.folder == str(tmp_path / "nats" / "n1")


def test_commands_reach_the_server_that_is_started_here(tmp_path: Path) -> None:
    assert written(tmp_path, "[server]\nport = 5000").access.urls == ("nats://127.0.0.1:5000",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[streams]\nreplicas = 3", "one copy"),
        ("[server]\nhost = '0.0.0.0'", "unencrypted"),
        ("[nats]\nurls = ['nats://example:4222']", "not encrypted"),
        ("[archive]\nbatch = 0", "archive.batch"),
        ("[archiv]\nbatch = 1", "archiv"),
        ("base = 'a b'", "topic base"),
        ("not toml", "centre.toml"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(Misuse, match=problem):
        written(tmp_path, text)
