"""What people answer, as label suggestions: pure.

Rules:

1. A label that the task is known to have, found as whole words: the longest one. With "not", "no" or "never" close
   before it, it is a denial and suggests nothing: what it is instead stands elsewhere in the answer, or nowhere.
2. A hashtag, or `label: …`, names one that nobody has heard of yet.
3. "Yes", "right", "correct" alone suggest what was posted.
4. Everything else is talk. A suggestion is never a label by itself: somebody judges the picture.
"""

import hashlib
import re
from collections.abc import Iterable

from roost_broker.messages import Provenance, Suggestion
from roost_edge.feed.rows import Row
from roost_edge.feed.service import Reply

_MENTION = re.compile(r"@\w+|https?://\S+")
_HASHTAG = re.compile(r"#(\w{2,40})")
_SAID = re.compile(r"\blabel:\s*([^\n.,;!?]{2,60})", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")
_DENIALS = frozenset({"not", "no", "never", "isn", "isnt", "ain", "aint", "wasn", "wasnt"})
_CLOSE = 4
"""Words before a label among which a denial is looked for: "not a very good blue jay"."""
_YES = frozenset({"yes", "yep", "yeah", "right", "correct", "agreed", "exactly"})


def suggested(text: str, posted: str, known: Iterable[str]) -> str:
    """The label that this answer suggests; empty: none."""
    said = _MENTION.sub(" ", text)
    words = _words(said)
    if words and set(words) <= _YES | {"that", "s", "is", "it"} and set(words) & _YES:
        return posted
    found = [(len(parts), label) for label in known if (parts := _words(label)) and _affirmed(words, parts)]
    if found:
        return max(found)[1]
    if named := _SAID.search(said) or _HASHTAG.search(said):
        return " ".join(_words(named[1]))[:200]
    return ""


def suggestion(reply: Reply, row: Row, label: str, provenance: Provenance, now_ms: int) -> Suggestion:
    """As the centre's store takes it. Its id follows from the reply's, so that a repetition is recognised."""
    return Suggestion(
        timestamp=now_ms,
        message_id=hashlib.sha256(f"reply {reply.id}".encode()).hexdigest()[:32],
        provenance=provenance,
        request_id=row.request_id,
        frame=row.frame,
        label=label,
        author=f"@{reply.author}"[:100],
        reason=reply.text[:1000],
        source="twitter",
        at=max(0, reply.at_ms),
    )


def _affirmed(words: list[str], label: list[str]) -> bool:
    """Whether the label stands there at least once without a denial close before it."""
    for at in range(len(words) - len(label) + 1):
        stands = words[at : at + len(label)]
        # One jay, two jays.
        said = stands[:-1] == label[:-1] and stands[-1] in (label[-1], f"{label[-1]}s")
        if said and not _DENIALS & set(words[max(0, at - _CLOSE) : at]):
            return True
    return False


def _words(text: str) -> list[str]:
    return _WORD.findall(text.replace("_", " ").casefold())
