"""docs/sketches.md: its programs run in order, and its settings are the settings."""

import contextlib
import io
import re
from pathlib import Path

from roost_rendezvous.analytics.sketches.settings import SketchSettings

PAGE = Path(__file__).parents[3] / "docs" / "sketches.md"


def test_the_programs_of_the_page_run_one_after_the_other() -> None:
    programs = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(programs) == 4
    names: dict[str, object] = {}
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        for program in programs:
            exec(compile(program, str(PAGE), "exec"), names)  # noqa: S102 — the page's own text
    text = said.getvalue()
    assert re.search(r"more than a second: 0\.0\d% measured, 4\.[89]\d% corrected", text)
    assert "2 sketches, 20000 scores" in text


def test_every_setting_is_in_the_table_with_its_default() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name, shown in {
        "keep_days": "35 days",
        "keep_rollup_days": "400 days",
        "store_bytes": "128 MB",
        "max_combinations": "5,000",
    }.items():
        assert re.search(rf"\| `{name}` \|.*\| {shown} \|", text)
        number = int(shown.split()[0].replace(",", "")) * (1_000_000 if shown.endswith("MB") else 1)
        assert getattr(SketchSettings(), name) == number
    assert set(SketchSettings.__struct_fields__) == {"keep_days", "keep_rollup_days", "store_bytes", "max_combinations"}
