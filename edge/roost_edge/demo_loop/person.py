"""The person at the label page, played by a real browser: reads what is shown, presses the key of what it truly is."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from roost_broker.errors import PeerError
from roost_edge.demo_loop.chromium import Page, page

_SHOWN = '!document.getElementById("picture").hidden && document.getElementById("picture").complete'
_PATIENCE_S = 90.0


def label_in_browser(
    folder: Path, url: str, truth: Mapping[str, str], *, author: str, most: int, screenshot: Path
) -> int:
    """Judge up to `most` pictures by keyboard; returns how many. `truth` is label by SHA-256 of a picture.

    Raises `PeerError` when the page does not do what it should, `Misuse` where there is no browser.
    """

    async def work() -> int:
        async with asyncio.timeout(_PATIENCE_S), page(folder, url, width=1200, height=820) as tab:
            return await _work(tab, truth, author, most, screenshot)

    try:
        return asyncio.run(work())
    except TimeoutError as error:
        raise PeerError(f"The label page did not answer within {_PATIENCE_S:g} s.", "See logs/label.log.") from error


async def _work(tab: Page, truth: Mapping[str, str], author: str, most: int, screenshot: Path) -> int:
    await tab.until('document.getElementById("name-dialog")?.open')
    await tab.type(author)
    await tab.press("Enter")
    labels = await tab.until("labels.length && labels")
    total = int(await tab.until("questions.length"))
    done = 0
    while done < min(most, total):
        await tab.until(f"at === {done} && ({_SHOWN})")
        if done == 1:
            await asyncio.to_thread(screenshot.write_bytes, await tab.picture("light"))
        label = truth.get(str(await tab.value(f"questions[{done}].picture")))
        await tab.press("s" if label is None else await tab.value(f"KEYS[{labels.index(label)}]"))
        done += 1
        await tab.until(f"at === {done} || !document.getElementById('empty').hidden || judged.size >= {total}")
    await tab.until("line.then(() => true)")
    if tab.broken:
        raise PeerError(f"The label page complained: {tab.broken[0]}")
    return done
