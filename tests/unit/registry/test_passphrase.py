"""Where the passphrase of offline keys comes from, and that it is never silently none."""

from pathlib import Path

import pytest

from roost_broker.errors import Misuse
from roost_edge.cli.registry_options import passphrase_of


@pytest.mark.parametrize("content", [b"correct horse", b"correct horse\n", b"correct horse\r\nsecond line\n"])
def test_the_first_line_of_the_file_is_the_passphrase_of_offline_keys_alone(tmp_path: Path, content: bytes) -> None:
    path, online = tmp_path / "phrase", tmp_path / "keys"
    path.write_bytes(content)
    ask = passphrase_of(path, online=online)
    assert ask(tmp_path / "stick") == b"correct horse"
    assert ask(online) is None


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\nbehind\n", None])
def test_a_file_without_a_passphrase_is_refused_and_no_key_is_written_open(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "phrase"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Misuse, match="phrase"):
        passphrase_of(path)(tmp_path / "stick")
