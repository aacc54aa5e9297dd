"""`roost label` and `roost dataset` as their users meet them: from an archive and a folder to a dataset's versions."""

import asyncio
import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from label_world import TASK, Asked, archive, block
from PIL import Image

pytestmark = pytest.mark.processes
MAIN = "import sys; from roost_edge.cli import main; sys.exit(main())"
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("ROOST_")}
SURE, EGG = ("hen", 0.97, "egg"), ("egg", 0.9, "hen")


def roost(*arguments: object, cwd: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**CLEAN, "COLUMNS": "200"},
        timeout=120,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


def read(*arguments: object, cwd: Path, status: int = 0) -> Any:
    return json.loads(roost(*arguments, "--json", cwd=cwd, status=status).stdout)


def stripes(number: int) -> bytes:
    """A JPEG unlike all others."""
    image, out = Image.new("L", (32, 32)), io.BytesIO()
    image.putdata([(number * 37 + place * (number % 5 + 1)) % 256 for place in range(1024)])
    image.save(out, "JPEG")
    return out.getvalue()


def pictures(root: Path, label: str, days: int, each: int, first: int = 0) -> None:
    for number in range(days * each):
        path = root / label / f"cam_2026-05-{number % days + 1:02}_{number // days:02}00.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stripes(first + number))


def test_a_folder_becomes_labels_then_a_dataset_and_its_next_version_keeps_the_test(tmp_path: Path) -> None:
    pictures(tmp_path / "in", "hen", 6, 4)
    pictures(tmp_path / "in", "egg", 6, 4, first=100)
    how = ("--task", TASK, "--author", "anna", "--site", "coop", "--why", "the log")
    dry = read("label", "import", "in", *how, "--dry-run", cwd=tmp_path)
    assert (dry["written"], dry["new"]) == (False, 48)
    assert read("label", "import", "in", *how, cwd=tmp_path)["new"] == 48
    assert read("label", "import", "in", *how, cwd=tmp_path)["known"] == 48

    first = read("dataset", "make", "hens", "--why", "begin", cwd=tmp_path)
    assert first["splits"]["test"] >= 4
    assert read("dataset", "make", "hens", cwd=tmp_path)["new"] is False
    pictures(tmp_path / "more", "jay", 9, 2, first=300)
    read("label", "import", "more", *how, cwd=tmp_path)
    second = read("dataset", "make", "hens", cwd=tmp_path)
    assert (second["version"], second["parent"]) == (2, first["digest"])
    assert list(second["labels"]) == ["egg", "hen", "jay"]
    assert len(read("dataset", "diff", "hens@1", "hens", cwd=tmp_path)["added"]) == 18
    assert read("dataset", "check", "hens", cwd=tmp_path)["ok"]
    assert [one["version"] for one in read("dataset", "list", cwd=tmp_path)] == [1, 2]
    shown = roost("dataset", "show", "hens@2", cwd=tmp_path).stdout
    assert "coop 2026-05-01" in shown

    digest = next((tmp_path / "roost-centre" / "archive" / "frames").glob("*/*.jpg"))
    digest.write_bytes(b"altered")
    assert read("dataset", "check", "hens", cwd=tmp_path, status=1)["problems"]
    third = read("dataset", "make", "hens", cwd=tmp_path)
    assert third["leftOutByReason"] == {"damaged": 1}


def test_the_page_on_a_used_port_names_the_port_and_another_way(tmp_path: Path) -> None:
    pictures(tmp_path / "in", "hen", 1, 1)
    roost("label", "import", "in", "--task", TASK, "--author", "anna", cwd=tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = roost("label", "serve", "--task", TASK, "--port", port, cwd=tmp_path, status=1)
    assert f"Nothing can listen on 127.0.0.1:{port}: Address already in use." in done.stderr
    assert "Choose another port" in done.stderr
    wrong = roost("label", "queue", "--task", "TYPO", cwd=tmp_path, status=2)
    assert f"It knows: {TASK}." in wrong.stderr


def test_an_export_rebuilds_the_store_elsewhere(tmp_path: Path) -> None:
    pictures(tmp_path / "in", "hen", 2, 2)
    roost("label", "import", "in", "--task", TASK, "--author", "anna", cwd=tmp_path)
    roost("label", "export", "all.jsonl", cwd=tmp_path)
    assert read("label", "import", "all.jsonl", "-c", "other", cwd=tmp_path) == {
        "new": 4,
        "known": 0,
        "others": 0,
        "suggestions": False,
    }
    assert roost("label", "export", "-c", "other", cwd=tmp_path).stdout == (tmp_path / "all.jsonl").read_text()


def test_one_label_more_its_correction_and_a_dispute_are_in_the_history(tmp_path: Path) -> None:
    pictures(tmp_path / "in", "hen", 1, 1)
    roost("label", "import", "in", "--task", TASK, "--author", "anna", cwd=tmp_path)
    picture = json.loads(roost("label", "export", cwd=tmp_path).stdout)["picture"]
    roost("label", "add", picture[:8], "egg", "--author", "anna", "--why", "looked again", cwd=tmp_path)
    told = roost("label", "add", picture[:8], "hen", "--author", "bert", cwd=tmp_path)
    assert "Others see it otherwise" in told.stderr
    history = read("label", "history", picture[:8], cwd=tmp_path)["entries"]
    assert [(one["author"], one["label"]) for one in history] == [("anna", "hen"), ("anna", "egg"), ("bert", "hen")]
    assert read("label", "status", cwd=tmp_path)[TASK]["conflicts"] == {picture: "anna: egg; bert: hen"}
    roost("label", "add", "0123", "hen", cwd=tmp_path, status=2)
    roost("label", "add", picture[:8], cwd=tmp_path, status=2)


def test_the_queue_of_a_decoys_archive_is_a_table_or_json_and_ends_when_all_is_labelled(tmp_path: Path) -> None:
    cases = [
        Asked(block((200, 20, 20)), {"canary": EGG, "champion": SURE}),
        Asked(block((20, 20, 200)), {"canary": SURE, "champion": SURE}),
        Asked(block((20, 200, 20)), {"canary": EGG, "champion": SURE}, inline=True),
    ]
    archive(tmp_path / "decoy", cases)
    how = ("--archive", "decoy", "--task", TASK)
    shown = roost("label", "queue", *how, cwd=tmp_path).stdout
    assert shown.count("The canary says egg, the answer was hen") == 2
    questions = read("label", "queue", *how, cwd=tmp_path)["questions"]
    assert len(questions) == 2
    inline = questions[0]["picture"]  # the newest; its bytes came in the request, and are kept now
    assert (tmp_path / "roost-centre" / "archive" / "frames" / inline[:2] / f"{inline}.jpg").is_file()
    roost("label", "add", inline, "egg", "--task", TASK, cwd=tmp_path)
    assert len(read("label", "queue", *how, cwd=tmp_path)["questions"]) == 1


def test_suggestions_from_a_file_wait_in_the_queue_until_somebody_judges(tmp_path: Path) -> None:
    ids = archive(tmp_path / "decoy", [Asked(block((9, 9, 9)), {"canary": SURE, "champion": SURE})])
    line = {
        "schema": "roost.suggestion/1",
        "timestamp": 5,
        "messageId": "c" * 32,
        "requestId": ids[0],
        "label": "a jay",
        "author": "passer-by",
    }
    (tmp_path / "said.jsonl").write_text(json.dumps(line) + "\n")
    roost("label", "import", "said.jsonl", cwd=tmp_path, status=2)  # for which task?
    assert read("label", "import", "said.jsonl", "--task", TASK, cwd=tmp_path)["new"] == 1
    (question,) = read("label", "queue", "--archive", "decoy", cwd=tmp_path)["questions"]
    assert question["whys"][0]["text"] == "Suggested: passer-by says a jay"
    roost("dataset", "make", "jays", cwd=tmp_path, status=2)  # a suggestion is no label


def test_the_page_is_served_until_it_is_told_to_stop_and_only_on_this_machine(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    archive(tmp_path / "decoy", [Asked(block((200, 20, 20)), {"canary": EGG, "champion": SURE})])
    how = ("label", "serve", "--archive", "decoy", "--task", TASK, "--port", "0")
    assert "open to everybody" in roost(*how, "--host", "0.0.0.0", cwd=tmp_path, status=2).stderr  # noqa: S104  refused
    (tmp_path / "tokens").write_text("anna " + "t" * 30 + "\n")
    (tmp_path / "tokens").chmod(0o644)
    assert "chmod 600" in roost(*how, "--tokens", "tokens", cwd=tmp_path, status=2).stderr

    async def main() -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", MAIN, *how), cwd=tmp_path, env=CLEAN, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        async with aiohttp.ClientSession() as http, http.get(url) as reply:
            assert reply.status == 200
            page = await reply.text()
        assert "http://" not in page  # nothing is fetched from elsewhere
        assert "https://" not in page
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0

    run(main(), timeout=60)


def test_over_tls_a_token_lets_its_author_in(run: Callable[..., Any], tmp_path: Path) -> None:
    import ssl

    archive(tmp_path / "decoy", [Asked(block((200, 20, 20)), {"canary": EGG, "champion": SURE})])
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem"),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    (tmp_path / "tokens").write_text("anna " + "t" * 30 + "\n")
    (tmp_path / "tokens").chmod(0o600)
    tls = ("--tls-cert", "cert.pem", "--tls-key", "key.pem", "--tokens", "tokens", "--host", "0.0.0.0")  # noqa: S104

    async def main() -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", MAIN, "label", "serve", "--archive", "decoy", "--task", TASK, "--port", "0", *tls),
            cwd=tmp_path,
            env=CLEAN,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        port = (await process.stdout.readline()).decode().strip().rstrip("/").rpartition(":")[2]
        trusted = ssl.create_default_context(cafile=tmp_path / "cert.pem")
        url = f"https://localhost:{port}/v1/review"
        async with aiohttp.ClientSession() as http:
            async with http.get(url, ssl=trusted) as reply:
                assert reply.status == 401
            async with http.get(url, ssl=trusted, headers={"Authorization": "Bearer " + "t" * 30}) as reply:
                assert (await reply.json())["author"] == "anna"
        process.terminate()
        await process.wait()

    run(main(), timeout=60)
