"""The feed as one page: pure. Style and thumbnails are within it, there is no script, and it loads nothing else."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from html import escape

from roost_edge.feed.atom import Entry

_STYLE = """
:root { color-scheme: light dark; --edge: #8884; --quiet: #777; }
* { box-sizing: border-box; }
body { font: 16px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .2rem 1rem; margin-bottom: 1rem; }
h1 { font-size: 1.5rem; margin: 0; }
header p { margin: 0; color: var(--quiet); }
main { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(16rem, 100%), 1fr)); }
article { border: 1px solid var(--edge); border-radius: .6rem; overflow: hidden; }
article img { display: block; width: 100%; aspect-ratio: 4/3; object-fit: cover; background: #8882; }
article div { padding: .6rem .8rem .8rem; }
h2 { font-size: 1.05rem; margin: 0 0 .3rem; }
p { margin: 0; overflow-wrap: anywhere; }
footer, .when { color: var(--quiet); font-size: .9rem; }
.when { margin-top: .4rem; }
a { color: inherit; }
""".strip()
_POLICY = "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(title: str, entries: Sequence[Entry], thumbnails: Mapping[str, bytes], *, zone: tzinfo) -> str:
    """The document; `entries` newest first, `thumbnails` by request id."""
    shown = "\n".join(_article(one, thumbnails.get(one.request_id, b""), zone) for one in entries)
    nothing = "<p>Nothing was seen yet. The first picture comes by itself.</p>"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="referrer" content="no-referrer">
<title>{escape(title)}</title>
<link rel="alternate" type="application/atom+xml" title="{escape(title)}" href="feed.atom">
<style>{_STYLE}</style>
</head>
<body>
<header><h1>{escape(title)}</h1><p>What the camera saw, and what the model made of it ·
<a href="feed.atom">Atom</a></p></header>
<main>
{shown or nothing}
</main>
</body>
</html>
"""


def _article(one: Entry, thumbnail: bytes, zone: tzinfo) -> str:
    head, *rest = one.text.splitlines() or [one.label]
    at = datetime.fromtimestamp(one.at_ms / 1000, zone)
    source = f"data:image/jpeg;base64,{base64.b64encode(thumbnail).decode()}" if thumbnail else escape(one.picture)
    lines = "".join(f"<p>{escape(line)}</p>" for line in rest if line.strip())
    links = [f'<a href="#p-{one.answers}">the first picture</a>'] if one.answers else []
    links += [f'<a href="{escape(one.link)}" rel="noopener">as a post</a>'] if one.link else []
    more = "".join(f" · {link}" for link in links)
    return (
        f'<article id="p-{one.request_id}"><a href="{escape(one.picture)}">'
        f'<img src="{source}" alt="{escape(one.alt)}" loading="lazy"></a>'
        f"<div><h2>{escape(head)}</h2>{lines}"
        f'<p class="when"><time datetime="{at.isoformat(timespec="seconds")}">{at:%Y-%m-%d %H:%M}</time>{more}</p>'
        "</div></article>"
    )
