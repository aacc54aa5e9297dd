"""What newcomers meet first is told with its next step: the page, the broker, a token, a check that could not check."""

from pathlib import Path

import pytest

from roost_broker.mosquitto import MosquittoSettings, render
from roost_edge.broker_setup.starting import how_to_start
from roost_edge.cli import main
from roost_edge.cli.run import for_the_log_alone, page_lines
from roost_edge.page import scraper_token
from roost_edge.plurals import counted
from roost_edge.settings import loading

DOCS = Path(__file__).resolve().parents[3] / "docs"
DEVICE = '[node]\nname = "coop-1"\ndata = "data"\n'
SCHEDULE = """task = "henhouse"
sla_ms = 2000
[[step]]
after_ms = 0
accept = ["a"]
[default]
after_ms = 1900
label = "unknown"
"""
WEATHER = """[tasks.henhouse]
schedule = "schedule.toml"
models.a.bundle = "bundle"
state.wind.topic = "weather/wind"
[mosquitto.programs.station]
write = ["weather/#"]
"""
SUBSCRIBED = "1795000000: operator 1 roost/coop-1/#\n"
Say = pytest.CaptureFixture[str]


def settings(folder: Path, text: str = "") -> Path:
    (folder / "schedule.toml").write_text(SCHEDULE, encoding="utf-8")
    file = folder / "roost.toml"
    file.write_text(DEVICE + text, encoding="utf-8")
    return file


def roost(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["roost", *map(str, words)])
    try:
        return main()
    except SystemExit as end:
        return int(end.code or 0)


def lines_of(file: Path, named: Path | None = None) -> list[str]:
    return page_lines(loading.load(file), named or file)


def test_up_says_where_the_page_is_and_how_to_set_the_password_it_lacks(tmp_path: Path) -> None:
    file = settings(tmp_path, "[page]\n")
    where, password = lines_of(file)
    assert where == "Its page: http://127.0.0.1:8490"
    assert password.endswith(f"roost page password -s {file}")
    assert lines_of(file, Path("roost.toml"))[1].endswith("roost page password")


def test_up_does_not_speak_of_a_password_that_is_set_nor_of_a_page_that_is_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = settings(tmp_path, "[page]\nport = 8500\n")
    assert roost(monkeypatch, "page", "password", "--settings", file, "--generate") == 0
    assert lines_of(file) == ["Its page: http://127.0.0.1:8500"]
    assert lines_of(settings(tmp_path)) == []


def test_a_page_at_a_port_that_the_system_chooses_is_in_its_log(tmp_path: Path) -> None:
    file = settings(tmp_path, "[page]\nport = 0\n")
    assert lines_of(file)[0].endswith(str(loading.load(file).layout.log("page")))


def test_a_page_that_is_open_to_a_network_is_named_by_this_machines_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = '[page]\nhost = "0.0.0.0"\ntls_certificate = "cert.pem"\ntls_key = "key.pem"\n'
    where = lines_of(settings(tmp_path, text))[0]
    assert where.startswith("Its page: https://")
    assert "//0." not in where  # nobody can go to the address that stands for all
    assert lines_of(settings(tmp_path, '[page]\nhost = "::1"\n'))[0] == "Its page: http://[::1]:8490"


def test_up_shows_what_is_amiss_and_leaves_what_is_not_to_the_logs() -> None:
    quiet = ("info: ready", "debug: looked", "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.")
    loud = ("warning: slow", "error: gone", "ERROR: Node 3 failed to invoke.", "WARNING: x", "Traceback", "INFORM")
    assert all(map(for_the_log_alone, quiet))
    assert not any(map(for_the_log_alone, loud))


def test_a_broker_is_started_by_systemd_where_there_is_one_and_else_by_its_own_name(tmp_path: Path) -> None:
    program = tmp_path / "mosquitto"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    assert how_to_start(1883, systemd=True).startswith("Start it (systemctl start mosquitto), or")
    assert how_to_start(1884, systemd=False, folders=str(tmp_path)).startswith(f"Start it ({program} -d -p 1884), or")
    program.unlink()
    assert how_to_start(1883, systemd=False, folders=str(tmp_path)).startswith("Install it (apt-get install mosquitto)")


def test_the_broker_that_the_page_starts_by_hand_is_set_up_as_the_products_own() -> None:
    page = (DOCS / "your-own-device.md").read_text(encoding="utf-8")
    [command] = [line for line in page.splitlines() if line.startswith("$ printf")]
    lines = command.split("'")[3::2]
    assert lines == ["listener 1883 127.0.0.1", "allow_anonymous true", "set_tcp_nodelay true"]
    assert set(lines) <= set(render(MosquittoSettings()).splitlines())
    assert "$ echo 'set_tcp_nodelay true' | sudo tee /etc/mosquitto/conf.d/" in page


def test_a_second_token_says_that_the_first_is_void_and_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    file = settings(tmp_path, "[page]\n")
    kept = loading.load(file).layout.page / "metrics-token"
    assert roost(monkeypatch, "page", "token", "--settings", file) == 0
    first = capsys.readouterr()
    assert "void" not in first.err
    assert scraper_token.is_token(kept, f"Bearer {first.out.strip()}")
    assert roost(monkeypatch, "page", "token", "--settings", file) == 0
    assert "The token before it is void from now on" in capsys.readouterr().err
    assert not scraper_token.is_token(kept, f"Bearer {first.out.strip()}")


def test_a_check_without_a_log_says_what_it_looked_at_and_what_it_could_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    file = settings(tmp_path, WEATHER)
    assert roost(monkeypatch, "streams", "--settings", file, "--check", "--json") == 0
    said = capsys.readouterr().err
    assert "Checked: who feeds 1 stream from outside.\n" in said
    assert "Not checked: who asks for more than he was given." in said
    assert "  → journalctl -u mosquitto | roost streams --log - --check" in said


def test_a_check_with_a_log_says_how_many_subscriptions_it_saw_and_that_an_empty_one_shows_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    file, log = settings(tmp_path), tmp_path / "mosquitto.log"
    log.write_text(SUBSCRIBED, encoding="utf-8")
    assert roost(monkeypatch, "streams", "--settings", file, "--check", "--log", log) == 0
    said = capsys.readouterr()
    assert "Checked: who asked for 1 subscription in the log.\n" in said.err
    assert "Not checked" not in said.err
    assert "1 subscription in the log; everybody has the right" in said.out
    log.write_text("", encoding="utf-8")
    assert roost(monkeypatch, "streams", "--settings", file, "--log", log) == 0
    said = capsys.readouterr()
    assert "This log holds no subscription" in said.err
    assert "everybody" not in said.out.replace("May hear everything", "")


def test_config_takes_its_file_as_its_siblings_do_and_only_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    file, other = settings(tmp_path), tmp_path / "other.toml"
    other.write_text(DEVICE.replace("coop-1", "coop-2"), encoding="utf-8")
    for words in ([file], ["-s", file], ["--settings", file]):
        assert roost(monkeypatch, "config", "show", *words) == 0
        assert 'name = "coop-1"' in capsys.readouterr().out
        assert roost(monkeypatch, "config", "check", *words) == 0
        assert capsys.readouterr().out.endswith(f"{file} can be used: 0 errors, 1 warning.\n")
    monkeypatch.setenv("ROOST_SETTINGS", str(other))
    assert roost(monkeypatch, "config", "show") == 0
    assert 'name = "coop-2"' in capsys.readouterr().out
    assert roost(monkeypatch, "config", "show", file) == 0  # what is typed is meant
    assert 'name = "coop-1"' in capsys.readouterr().out
    assert roost(monkeypatch, "config", "check", file, "-s", other) == 2
    assert "Give FILE or --settings FILE, not both." in capsys.readouterr().err


def test_one_is_counted_as_one() -> None:
    assert [counted(number, "role") for number in (0, 1, 2)] == ["0 roles", "1 role", "2 roles"]
    assert [counted(number, "row was", "rows were") for number in (1, 2)] == ["1 row was", "2 rows were"]
