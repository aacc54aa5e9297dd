"""Commands of the loop that are given what is not there: each says what is wrong, and what to do."""

import asyncio
import fcntl
import os
import socket
from pathlib import Path

import pytest

from roost_broker.errors import Misuse, PeerError, RoostError
from roost_edge.cli import main
from roost_edge.processes import control
from roost_models.bundle.writing import new_bundle
from roost_models.registry.serving import serve


def told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object) -> tuple[int, str]:
    """Exit status and stderr of `roost WORDS …`."""
    monkeypatch.delenv("ROOST_CENTRE", raising=False)
    monkeypatch.setattr("sys.argv", ["roost", *map(str, words)])
    try:
        status = main()
    except SystemExit as end:
        status = int(end.code or 0)
    return status, capsys.readouterr().err


def test_what_is_not_there_is_named_with_its_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bundle = new_bundle(tmp_path / "bundle", name="hen", task="nest").root
    assert told(capsys, monkeypatch, "registry", "init", "--root-keys", "stick", "--task", "nest")[0] == 0
    unevaluated = ("--without-evaluation", "a test")
    busy = ("--devices", 1, "--bundle", bundle, "--pictures", tmp_path, "--root")
    trusted = "roost-centre/registry/public/metadata/1.root.json"
    for words, status, problem, remedy in (
        (("label", "queue", "--task", "TYPO"), 2, "nothing of a task 'TYPO'", "--task"),
        (("label", "serve", "--task", "TYPO"), 2, "nothing of a task 'TYPO'", "--task"),
        (("label", "import", "nosuch", "--task", "nest"), 2, "There is no nosuch.", "Give a folder"),
        (("registry", "publish", bundle, "--centre", "nosuch"), 2, "no registry at nosuch", "--centre DIR"),
        (("registry", "publish", bundle, "--root-keys", "stikc", *unevaluated), 2, "no folder stikc", "Plug the stick"),
        (
            ("fleet", "simulate", *busy, "nosuch.json", "--registry", "x"),
            2,
            "nosuch.json cannot be read: No such",
            "1.root",
        ),
        (("fleet", "simulate", *busy, trusted, "--registry", "nosuch"), 1, "no registry at nosuch", "stick"),
        (
            ("train", "birds", "--task", "nest", "--name", "hen", "--version", "1", "-o", bundle),
            2,
            "not empty",
            "new folder",
        ),
    ):
        found, said = told(capsys, monkeypatch, *words)
        assert (found, problem in said, remedy in said, "Errno" in said) == (status, True, True, False), said


def test_a_second_centre_in_the_same_folder_is_told_that_one_is_running(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    status, said = told(capsys, monkeypatch, "centre", "up", "--centre", tmp_path)
    os.close(handle)
    assert status == 2
    assert f"The centre in {tmp_path} is running already." in said
    assert "NATS" not in said


def test_a_registry_on_a_used_port_says_so_and_names_another() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(PeerError, match="Address already in use") as no,
    ):
        asyncio.run(serve(Path("/nonexistent"), "127.0.0.1", taken.getsockname()[1], lambda _address: None))
    assert "--port" in no.value.remedy
    assert "Errno" not in str(no.value)


@pytest.mark.parametrize("kind", [Misuse, PeerError])
def test_the_kind_of_a_refusal_comes_over_the_control_socket(tmp_path: Path, kind: type[RoostError]) -> None:
    async def refuse(_: dict[str, object]) -> dict[str, object]:
        raise kind("It cannot be.", "Ask otherwise.")

    async def story() -> None:
        ear = control.Control(tmp_path / "socket", refuse)
        assert await ear.open()
        with pytest.raises(kind, match="It cannot be") as caught:
            await control.ask(tmp_path / "socket", {"do": "x"}, timeout_s=5)
        assert (type(caught.value), caught.value.remedy) == (kind, "Ask otherwise.")
        assert not await control.Control(tmp_path / "socket", refuse).open()
        await ear.close()

    asyncio.run(story())
