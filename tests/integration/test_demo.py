"""The demo as a person starts it: real processes, a real broker, and what is left of it at the end."""

import asyncio
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import jsonschema
import pytest
from PIL import Image

from roost_broker.messages import ModelState, RoleState, decode
from roost_broker.mqtt import MqttBus
from roost_broker.private_process import free_port
from roost_broker.settings import BrokerSettings

pytestmark = [pytest.mark.broker, pytest.mark.processes]

ROOT = Path(__file__).resolve().parents[2]
KEYS = [
    *("requests", "answered", "within_sla", "by_cause", "by_model", "p50_ms", "p99_ms"),
    *("archived", "replay_identical", "alerts", "defaults"),
]
PATIENCE_S = 120


@pytest.fixture
def pictures(tmp_path):
    """Three pictures: each is a question of its own, at once."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (320, 240), (60 * number, 90, 40)).save(folder / f"{number}.jpg")
    return folder


@contextmanager
def demo(*arguments):
    """The demo as a process that does not outlive the test."""
    command = [sys.executable, "-m", "roost_edge.demo", *map(str, arguments)]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
        process.communicate()


def played(*arguments):
    """Run the demo to its end: exit status and summary."""
    with demo("--json", *arguments) as process:
        out, talk = process.communicate(timeout=PATIENCE_S)
    assert out.count("\n") == 1, f"stdout is for the one object.\n{out}\n{talk}"
    return process.returncode, json.loads(out)


def running_with(text):
    """Command lines of processes that mention `text`, by process id."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue  # it has ended meanwhile
            if text in command:
                found[int(entry.name)] = command
    return found


def test_every_request_is_answered_in_time_archived_and_scored_again_to_the_bit(tmp_path):
    status, summary = played("--seconds", "10", "--keep", tmp_path / "kept")
    assert list(summary)[: len(KEYS)] == KEYS
    assert (status, summary["problems"]) == (0, [])
    assert summary["requests"] >= 4
    assert summary["requests"] == summary["answered"] == summary["within_sla"] == summary["archived"]
    assert summary["replay_identical"] == 100
    assert summary["replay_compared"] >= 3 * summary["requests"]
    assert sum(summary["by_cause"].values()) == summary["requests"]
    assert summary["defaults"] == 0
    assert running_with(str(tmp_path)) == {}


def test_with_the_champion_dead_others_answer_in_time_and_the_cause_says_so(pictures):
    status, summary = played("--source", pictures, "--fault", "champion=kill")
    assert (status, summary["problems"]) == (0, [])
    assert summary["requests"] == summary["within_sla"] == summary["archived"] == 3
    assert summary["by_cause"] == {"fallback": summary["requests"]}
    assert "champion" not in summary["by_model"]
    assert summary["faults"] == ["champion=kill"]


def test_a_folder_of_pictures_is_asked_about_one_by_one_and_the_demo_ends_by_itself(pictures):
    status, summary = played("--source", pictures)
    assert (status, summary["problems"]) == (0, [])
    assert summary["requests"] == summary["within_sla"] == summary["archived"] == 3
    assert summary["source"] == str(pictures)


def test_ctrl_c_ends_it_in_order_with_the_summary_and_nothing_left_running(tmp_path, pictures):
    with demo("--source", pictures, "--seconds", "3600", "--keep", tmp_path / "kept") as process:
        lines = iter(process.stdout.readline, "")
        assert any("race [ms]" in line for line in lines)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    assert "within their SLA" in rest
    assert "identical to the last bit" in rest
    assert running_with(str(tmp_path)) == {}


def test_ctrl_c_during_the_replay_leaves_the_summary_without_the_rest_of_it(pictures):
    with demo("--source", pictures) as process:
        assert any("Asking champion again" in line for line in iter(process.stdout.readline, ""))
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    assert "3 requests" in rest
    assert "cut short" in rest
    assert errors == ""


@pytest.mark.skipif(shutil.which("setsid") is None, reason="needs setsid of util-linux")
@pytest.mark.usefixtures("terminal_heard")
def test_closing_the_terminal_leaves_neither_processes_nor_files(tmp_path, pictures):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    terminal, end = pty.openpty()
    command = ["setsid", "--ctty", sys.executable, "-m", "roost_edge.demo", "--source", pictures, "--seconds", "3600"]
    process = subprocess.Popen(
        command, stdin=end, stdout=end, stderr=end, env=os.environ | {"TMPDIR": str(temporary), "TERM": "xterm"}
    )
    os.close(end)
    try:
        seen = b""
        while b"Ctrl-C ends" not in seen:
            seen += os.read(terminal, 65_536)
        os.close(terminal)
        assert process.wait(PATIENCE_S) in (0, 1), "it ended by itself"
    finally:
        process.kill()
        process.wait()
    assert running_with(str(temporary)) == {}
    assert list(temporary.iterdir()) == []


class Stranger:
    """Reads everything on the demo's broker, as `mosquitto_sub -t 'roost/#'` does."""

    def __init__(self, port):
        self.messages = []
        self.sessions = {}
        self._news = asyncio.Event()
        self.bus = MqttBus(BrokerSettings(port=port, session_expiry_s=0), "stranger")
        self.bus.subscribe("roost/#", self._take)

    def _take(self, delivery):
        self.messages.append((delivery.topic, delivery.payload))
        message = decode(delivery.payload)
        if isinstance(message, ModelState | RoleState) and message.state == "ready":
            self.sessions[delivery.topic] = message.session
        delivery.ack()
        self._news.set()

    def results(self):
        return sum(topic.endswith("/results/nest") for topic, _ in self.messages)

    async def until_more_results(self):
        """Life goes on."""
        before = self.results()
        await self.until(lambda: self.results() > before)

    async def until(self, condition):
        async with asyncio.timeout(60):
            while not condition():
                self._news.clear()
                await self._news.wait()


def test_a_stranger_can_read_every_message_by_the_committed_schemas():
    port = free_port()
    schemas = {}
    for path in (ROOT / "broker" / "schemas").glob("roost.*.json"):
        tag = path.stem.rsplit("-", 1)
        schemas["/".join(tag)] = jsonschema.Draft202012Validator(json.loads(path.read_text()))

    async def scene():
        stranger = Stranger(port)
        with demo("--json", "--seconds", "12", "--port", port) as process:
            await stranger.bus.start()
            await asyncio.to_thread(process.wait, PATIENCE_S)
            status = process.returncode
        await stranger.bus.stop()
        return status, stranger.messages

    status, messages = asyncio.run(scene())
    assert status == 0
    seen = set()
    for _, payload in messages:
        message = json.loads(payload)
        schemas[message["schema"]].validate(message)
        seen.add(message["schema"])
    assert seen >= {f"roost.{kind}/1" for kind in ("request", "score", "result", "receipt", "model-state", "role")}
    assert seen >= {f"roost.{kind}/1" for kind in ("availability", "info", "motion", "schedule", "alert", "snapshot")}


def pid_of(folder, role):
    words = f" {role} " if " " in role else f"roost_edge.daemon {role} "
    (pid,) = (pid for pid, command in running_with(str(folder)).items() if words in command)
    return pid


def test_broker_and_every_role_killed_with_9_in_turn_nothing_accepted_is_lost_or_doubled(tmp_path, pictures):
    kept, port = tmp_path / "kept", free_port()
    victims = {
        "rendezvous": "roles/rendezvous-henhouse",
        "decoy": "roles/decoy-henhouse",
        "injector": "roles/injector-henhouse",
        "alerts": "roles/alerts",
        "model --task henhouse --model champion": "henhouse/models/champion/state",
        "capture": "roles/capture-nest",
    }

    async def scene():
        stranger = Stranger(port)
        source = ("--source", pictures, "--seconds", "3600")
        with demo("--json", *source, "--port", port, "--keep", kept) as process:
            await stranger.bus.start()
            await stranger.until(lambda: stranger.results() >= 2)
            (broker,) = (pid for pid, command in running_with(str(kept)).items() if "mosquitto" in command)
            os.kill(broker, signal.SIGKILL)
            await stranger.until_more_results()
            for role, state in victims.items():
                topic = f"roost/coop-1/{state}"
                await stranger.until(lambda topic=topic: topic in stranger.sessions)
                before = stranger.sessions[topic]
                os.kill(pid_of(kept, role), signal.SIGKILL)
                await stranger.until(lambda topic=topic, before=before: stranger.sessions[topic] > before)
                await stranger.until_more_results()
            process.send_signal(signal.SIGINT)
            out, _ = await asyncio.to_thread(process.communicate, timeout=PATIENCE_S)
        await stranger.bus.stop()
        return json.loads(out)

    summary = asyncio.run(scene())
    assert summary["requests"] > 0
    assert summary["requests"] == summary["answered"] == summary["archived"]
    assert not any("second answer" in note for note in summary["notes"])
    assert any("The broker ended" in note for note in summary["notes"])
    assert all(any(word in note for note in summary["notes"]) for word in ("rendezvous-", "decoy-", "capture-nest"))
