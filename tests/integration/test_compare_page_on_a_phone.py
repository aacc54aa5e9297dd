"""The page of a comparison, which needs nothing else, in a real browser as narrow as a telephone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser import BROWSER, page

from roost_rendezvous.analytics.comparison import page as pages
from roost_rendezvous.analytics.comparison.choosing import Choice
from roost_rendezvous.analytics.comparison.comparing import Options, compare
from roost_rendezvous.analytics.rows import Row, Word

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(BROWSER is None, reason="no chromium is installed: the page is not worked"),
]
PHONE = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
OLD, NEW = "champion_of_the_north_western_coop_int8", "challenger_of_the_north_western_coop_float16"
BEYOND = """
    [...document.querySelectorAll("main *")]
      .filter((one) => !one.closest(".wide") && !one.closest("svg") && one.getBoundingClientRect().right > 390)
      .map((one) => one.textContent.slice(0, 60))
"""
WIDE = '[...document.querySelectorAll(".wide")]'


def rows() -> list[Row]:
    """The two agree on three of four; names are longer than a telephone is wide."""
    label = "plymouth_rock_barred_hen_with_chicks_beside_the_door"
    found = []
    for nth in range(400):
        score = 0.5 + nth / 1_000
        other = 1 - score if nth % 4 == 0 else score
        words = tuple(
            Word(model=model, version="1.2.3", scores={label: one, "none": 1 - one}, elapsed_ms=9.0)
            for model, one in ((OLD, score), (NEW, other))
        )
        found.append(Row(request_id=f"{nth:032x}", task="nest", at=nth + 1, tags={"camera": "a_b" * 20}, words=words))
    return found


def test_nothing_is_wider_than_the_screen_and_every_table_can_be_scrolled(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "compare.html"
    whole = compare(rows(), Choice(model=OLD), Choice(model=NEW), Options(sample=8, cohorts=("camera",)))
    file.write_text(pages.page(whole, {}), encoding="utf-8")

    async def main() -> None:
        async with page(tmp_path, file.as_uri()) as tab:
            await tab.do("Emulation.setDeviceMetricsOverride", **PHONE)
            await tab.until('Boolean(document.querySelector("main h1"))')
            assert await tab.value("document.documentElement.scrollWidth") <= 390
            assert await tab.value(BEYOND) == []
            assert await tab.value(f"{WIDE}.length") == 4
            scrolled = f"{WIDE}.map((one) => {{ one.scrollLeft = 9999; return one.scrollLeft > 0; }})"
            assert await tab.value(f"{scrolled}.filter(Boolean).length") >= 3
            lines = 'Math.max(...[...document.querySelectorAll("th")].map((one) => one.getClientRects()[0].height))'
            assert await tab.value(lines) < 40  # a head is one line, not a word a line

    run(main(), timeout=120)
