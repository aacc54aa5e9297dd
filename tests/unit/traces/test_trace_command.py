"""`roost trace` as its users meet it: a process with stdout, stderr and a status, on a store without a monitor."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from traced_request import REQUEST, message_id, trace, whole_story

from roost_broker.messages import Trace, encode
from roost_rendezvous.traces.settings import TraceSettings
from roost_rendezvous.traces.slim import slim
from roost_rendezvous.traces.store import RanOn, TraceStore

MAIN = "import sys; from roost_edge.cli import main; sys.exit(main())"
OLDER = "0192e" + "0" * 27
PAGE = Path(__file__).resolve().parents[3] / "docs" / "traces.md"


def roost(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ROOST_")}
    command = [sys.executable, "-c", MAIN, "trace", *words, "--settings", str(folder / "roost.toml")]
    environment = {**clean, "TZ": "UTC"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False, cwd=folder)


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("device")
    (folder / "roost.toml").write_text('[node]\nname = "coop-1"\n', encoding="utf-8")
    store = TraceStore(folder / "roost-data" / "traces.db", TraceSettings())
    story = {one.message_id: slim(one) or b"" for one in whole_story() if hasattr(one, "message_id")}
    with store.transaction():
        store.put(OLDER, "door", 100, {message_id(): encode(trace("rendezvous", ("wait", 0, 9), request_id=OLDER))})
        store.put(REQUEST, "nest", 200, story)
        store.put_ran_on(RanOn(REQUEST, "nest", "slow", 257_000_000), 200)
    store.close()
    return folder


def test_last_draws_the_newest_request(device: Path) -> None:
    done = roost(device, "last")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"request {REQUEST} · nest · 2027-01-15 08:00:00.000\n")
    assert "★ champion" in done.stdout
    assert "\x1b" not in done.stdout


def test_the_picture_of_the_page_is_what_the_command_prints(device: Path) -> None:
    done = roost(device, "last", "--width", "90")
    assert f"```text\n{done.stdout}```\n" in PAGE.read_text(encoding="utf-8")


def test_the_beginning_of_an_id_is_enough_unless_two_begin_so(device: Path) -> None:
    assert f"request {REQUEST}" in roost(device, REQUEST[:5]).stdout
    assert f"request {OLDER}" in roost(device, "0192E").stdout
    ambiguous = roost(device, "0192")
    assert ambiguous.returncode == 2
    assert "Give more digits" in ambiguous.stderr


@pytest.mark.parametrize("what", ["ffff", "not-an-id"])
def test_what_is_not_there_or_no_id_is_misuse_with_a_remedy(device: Path, what: str) -> None:
    done = roost(device, what)
    assert (done.returncode, done.stdout) == (2, "")
    assert "→" in done.stderr


def test_without_an_id_the_newest_are_listed(device: Path) -> None:
    rows = roost(device).stdout.splitlines()
    assert [row.split()[0] for row in rows] == ["request", REQUEST, OLDER]
    assert rows[1].endswith("blue jay 0.97 by champion 1.2 (preferred)  143 ms  slow 257 ms")
    assert len(roost(device, "--task", "door").stdout.splitlines()) == 2
    assert len(json.loads(roost(device, "--limit", "1", "--json").stdout)) == 1


def test_json_has_the_spans_and_what_each_model_did(device: Path) -> None:
    shown = json.loads(roost(device, "last", "--json").stdout)
    assert (shown["requestId"], shown["task"], shown["answeredMs"]) == (REQUEST, "nest", 143.0)
    models = {one["model"]: one for one in shown["models"]}
    assert models["champion"]["official"]
    assert models["slow"]["ranOnMs"] == 257.0
    assert models["tired"]["status"] == "declined"
    assert len(shown["spans"]) == sum(len(one.spans) for one in whole_story() if isinstance(one, Trace))


def test_summary_says_which_models_ran_on_and_for_how_long(device: Path) -> None:
    done = roost(device, "--summary")
    assert "2 traced requests are kept" in done.stdout
    assert done.stdout.splitlines()[-1].split() == ["nest", "slow", "1", "0.257", "257", "ms"]
    assert json.loads(roost(device, "--summary", "--json").stdout)["ranOn"][0]["seconds"] == 0.257


def test_exports_go_to_files_or_one_of_them_to_stdout(device: Path) -> None:
    done = roost(device, "last", "--zipkin", "z.json", "--otlp", "o.json")
    assert (done.returncode, done.stdout) == (0, "")
    zipkin = json.loads((device / "z.json").read_text(encoding="utf-8"))
    assert json.loads(roost(device, "last", "--zipkin", "-").stdout) == zipkin
    assert list(json.loads((device / "o.json").read_text(encoding="utf-8"))) == ["resourceSpans"]
    assert roost(device, "last", "--zipkin", "-", "--json").returncode == 2
    assert roost(device, "--zipkin", "z.json").returncode == 2


def test_without_any_trace_the_command_says_where_they_come_from(tmp_path: Path) -> None:
    (tmp_path / "roost.toml").write_text('[node]\nname = "coop-1"\n', encoding="utf-8")
    done = roost(tmp_path, "last")
    assert done.returncode == 1
    assert "monitor" in done.stderr
