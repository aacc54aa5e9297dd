"""What the practise service knows: posts, pictures, answers, limits, and faults that somebody ordered. Pure.

Time is an argument. What the service would do to a post (refuse the same words twice, bound their length, count
requests) is done here; HTTP is `server`'s.
"""

from collections import deque
from dataclasses import dataclass, field

from roost_edge.feed.practise.oauth import Secrets
from roost_edge.feed.wording import MAX_WEIGHT, weight

PRACTISE_KEYS = Secrets("practise-consumer", "practise-consumer-secret", "practise-token", "practise-token-secret")
OWNER = ("1000", "practise_coop")
DAY_S = 86_400
_MAX_KEPT = 2_000
_MEDIA_LIVES_S = DAY_S


@dataclass(frozen=True, slots=True)
class Limit:
    """So many requests in so many seconds."""

    requests: int
    window_s: int


LIMITS = {
    "POST /2/tweets": Limit(100, 900),
    "POST media": Limit(500, 900),
    "GET /2/users/me": Limit(75, 900),
    "GET /2/users/:id/mentions": Limit(180, 900),
    "GET /2/tweets/search/recent": Limit(180, 900),
}
PER_DAY = 100
"""Posts of one account in 24 hours."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: a status, a JSON value (None: an empty body), headers beside the usual ones."""

    status: int
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Media:
    """A picture; `size` is what an upload in parts announced."""

    id: str
    at_s: int
    data: bytes = b""
    size: int = 0
    alt: str = ""
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Tweet:
    """One post."""

    id: str
    author: tuple[str, str]
    text: str
    at_s: int
    media: tuple[str, ...] = ()
    answers: str = ""
    conversation: str = ""


@dataclass(slots=True)
class Fault:
    """The next `times` requests whose path begins so fail. `after`: only when the work was done."""

    path: str
    status: int
    """0: the connection ends without an answer."""
    times: int = 1
    after: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    body: object = None


class World:
    """See the module. Not safe for two threads at a time."""

    def __init__(self, keys: Secrets = PRACTISE_KEYS, *, per_day: int = PER_DAY) -> None:
        self.keys = keys
        self.tweets: dict[str, Tweet] = {}
        self.media: dict[str, Media] = {}
        self.faults: list[Fault] = []
        self.requests: deque[str] = deque(maxlen=_MAX_KEPT)
        self._per_day = per_day
        self._asked: dict[str, deque[int]] = {}
        self._nonces: deque[str] = deque(maxlen=_MAX_KEPT)
        self._next = 1_700_000_000_000_000_000

    # -- what stands before each request -----------------------------------------------------------------------------

    def replayed(self, nonce: str) -> bool:
        """Whether this nonce was used before; it is used now."""
        if nonce in self._nonces:
            return True
        self._nonces.append(nonce)
        return False

    def fault(self, path: str, *, after: bool) -> Fault | None:
        """The fault that is due for this request."""
        for one in self.faults:
            if one.after == after and path.startswith(one.path):
                one.times -= 1
                if one.times <= 0:
                    self.faults.remove(one)
                return one
        return None

    def count(self, endpoint: str, now_s: int) -> tuple[bool, dict[str, str]]:
        """Count a request. Whether it is within its limit, and the headers that say so."""
        limit = LIMITS[endpoint]
        within, headers = self._window(endpoint, limit, now_s, "x-rate-limit")
        if endpoint == "POST /2/tweets":
            own, more = self._window("posts of a day", Limit(self._per_day, DAY_S), now_s, "x-user-limit-24hour")
            return within and own, headers | more
        return within, headers

    def _window(self, name: str, limit: Limit, now_s: int, prefix: str) -> tuple[bool, dict[str, str]]:
        asked = self._asked.setdefault(name, deque(maxlen=10_000))
        while asked and asked[0] <= now_s - limit.window_s:
            asked.popleft()
        within = len(asked) < limit.requests
        if within:
            asked.append(now_s)
        reset = (asked[0] if asked else now_s) + limit.window_s
        left = limit.requests - len(asked)
        return within, {
            f"{prefix}-limit": str(limit.requests),
            f"{prefix}-remaining": str(left),
            f"{prefix}-reset": str(reset),
        }

    # -- the work ----------------------------------------------------------------------------------------------------

    def upload(self, data: bytes, now_s: int) -> Media | None:
        """A whole picture; None when it is none."""
        if not data.startswith((b"\xff\xd8\xff", b"\x89PNG")):
            return None
        media = Media(self._number(), now_s, data, len(data))
        self._keep(media)
        return media

    def begin(self, size: int, now_s: int) -> Media:
        """An upload in parts."""
        media = Media(self._number(), now_s, size=size, whole=False)
        self._keep(media)
        return media

    def finish(self, media: Media) -> bool:
        """The last part was sent. Whether it is a picture of the size that was announced."""
        media.whole = len(media.data) == media.size and media.data.startswith((b"\xff\xd8\xff", b"\x89PNG"))
        return media.whole

    def tweet(self, text: str, media: tuple[str, ...], answers: str, now_s: int) -> Answer:
        """`POST /2/tweets` of the account that practises."""
        known = [self.media.get(one) for one in media]
        if any(one is None or not one.whole or now_s - one.at_s > _MEDIA_LIVES_S for one in known):
            return _bad("Your media IDs are invalid.")
        if not text and not media:
            return _bad("A post has words or a picture.")
        if weight(text) > MAX_WEIGHT:
            return _bad("Your Tweet text is too long.")
        if answers and answers not in self.tweets:
            return _bad("You attempted to reply to a Tweet that is deleted or not visible to you.")
        if any(one.text == text and one.author == OWNER and now_s - one.at_s < DAY_S for one in self.tweets.values()):
            return forbidden("You are not allowed to create a Tweet with duplicate content.")
        made = self.say(OWNER, text, answers, now_s, media=media)
        return Answer(201, {"data": {"id": made.id, "text": made.text, "edit_history_tweet_ids": [made.id]}})

    def say(
        self, author: tuple[str, str], text: str, answers: str, now_s: int, *, media: tuple[str, ...] = ()
    ) -> Tweet:
        """Somebody posts, as an answer or not."""
        number = self._number()
        root = self.tweets.get(answers)
        made = Tweet(number, author, text, now_s, media, answers, root.conversation if root else number)
        self.tweets[number] = made
        if len(self.tweets) > _MAX_KEPT:
            del self.tweets[next(iter(self.tweets))]
        return made

    def mentions(self, since: str) -> list[Tweet]:
        """Answers to the account, and what names it; newest first."""
        own = {one.id for one in self.tweets.values() if one.author == OWNER}
        found = [
            one
            for one in self.tweets.values()
            if one.author != OWNER and (one.answers in own or f"@{OWNER[1]}" in one.text)
        ]
        return [one for one in reversed(found) if int(one.id) > int(since or 0)]

    def conversations(self, numbers: set[str], now_s: int) -> list[Tweet]:
        """Answers in these threads, of the last seven days; newest first."""
        return [
            one
            for one in reversed(self.tweets.values())
            if one.conversation in numbers and one.answers and now_s - one.at_s < 7 * DAY_S
        ]

    def _keep(self, media: Media) -> None:
        self.media[media.id] = media
        if len(self.media) > 200:
            del self.media[next(iter(self.media))]

    def _number(self) -> str:
        self._next += 1
        return str(self._next)


def problem(status: int, title: str, detail: str) -> Answer:
    """An error as the service's second version words it."""
    return Answer(status, {"title": title, "detail": detail, "type": "about:blank", "status": status})


def forbidden(detail: str) -> Answer:
    """403."""
    return problem(403, "Forbidden", detail)


def _bad(message: str) -> Answer:
    return Answer(400, {"errors": [{"message": message}], "title": "Invalid Request", "detail": message})
