"""The practise service's own page: what was posted, as a visitor would see it, with a box to answer in. Pure."""

from datetime import UTC, datetime
from html import escape

from roost_edge.feed.practise.world import OWNER, Tweet, World

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.4 system-ui, sans-serif; margin: 0 auto; max-width: 36rem; padding: 1rem; }
article { border: 1px solid #8884; border-radius: .6rem; padding: .7rem .9rem; margin: 0 0 .8rem; }
.answer { margin-left: 2rem; }
img { max-width: 100%; border-radius: .5rem; display: block; margin-top: .5rem; }
p { white-space: pre-line; margin: .2rem 0; overflow-wrap: anywhere; }
small { color: #777; }
form { display: flex; gap: .4rem; margin-top: .5rem; }
input { flex: 1; font: inherit; padding: .25rem .5rem; min-width: 0; }
button { font: inherit; }
""".strip()


def timeline(world: World) -> str:
    """Threads, the newest first; within one the oldest first."""
    threads: dict[str, list[Tweet]] = {}
    for one in world.tweets.values():
        threads.setdefault(one.conversation, []).append(one)
    body = "\n".join(_tweet(world, one) for thread in reversed(threads.values()) for one in thread)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Practise service</title><style>{_STYLE}</style></head><body>
<h1>@{OWNER[1]}</h1>
<p><small>A service to practise with, on this machine alone. Answer a picture, as a follower would.</small></p>
{body or "<p>Nothing was posted yet.</p>"}
</body></html>
"""


def _tweet(world: World, one: Tweet) -> str:
    at = datetime.fromtimestamp(one.at_s, UTC)
    pictures = "".join(
        f'<img src="/media/{number}.jpg" alt="{escape(world.media[number].alt)}">'
        for number in one.media
        if number in world.media
    )
    form = (
        f'<form method="post" action="/practise/reply"><input type="hidden" name="to" value="{one.id}">'
        '<input name="text" maxlength="280" aria-label="Your answer" placeholder="That is a …" required>'
        "<button>Answer</button></form>"
    )
    return (
        f'<article id="{one.id}"{" class=answer" if one.answers else ""}>'
        f"<small>@{escape(one.author[1])} · {at:%Y-%m-%d %H:%M} UTC</small><p>{escape(one.text)}</p>{pictures}{form}"
        "</article>"
    )
