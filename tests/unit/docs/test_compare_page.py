"""What docs/compare.md says about the command holds."""

import re
from pathlib import Path

from typer.main import get_command

from roost_edge.cli.app import app
from roost_rendezvous.analytics.comparison import comparing, matching, recommending, standing

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "compare.md").read_text(encoding="utf-8")


def test_every_option_on_the_page_exists_and_the_defaults_are_those() -> None:
    command = get_command(app).commands["compare"]  # type: ignore[attr-defined]  # typer's group
    options = {word: one for one in command.params for word in one.opts if word.startswith("--")}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) <= set(options)
    assert f"`--sample {options['--sample'].default}`" in PAGE
    assert comparing.Options().sample == options["--sample"].default


def test_words_and_limits_are_those_of_the_code() -> None:
    for least, words in matching._WORDS[1:-1]:
        assert f"{words}* from" in PAGE
        assert f"{100 * least:.0f}" in PAGE
    assert f"Fewer than {matching.ENOUGH} requests in a top: *{matching.TOO_FEW}*" in PAGE
    assert f"Fewer than {standing.ENOUGH} requests on either side" in PAGE
    for advice in recommending.Advice.__args__:  # type: ignore[attr-defined]  # of a Literal
        assert f"**{advice}**" in PAGE


def test_every_module_on_the_page_is_there() -> None:
    folder = Path(comparing.__file__).parent
    named = re.findall(r"^\| (`[a-z_`, ]+`) \| ", PAGE.split("## For programs")[1], re.MULTILINE)
    for name in re.findall(r"[a-z_]+", " ".join(named)):
        assert (folder / f"{name}.py").is_file(), name
