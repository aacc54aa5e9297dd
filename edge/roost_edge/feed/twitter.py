"""Twitter (X) by tweepy: v2 posts, pictures by v1.1 or v2, mentions or search for answers. Imported only to post.

Every answer becomes an `Outcome`; what the service said is kept, what was signed is not.
"""

import base64
import io
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import requests
import tweepy

from roost_broker.clock import MS, SECOND, Clock
from roost_broker.errors import Misuse, PeerError
from roost_edge.feed.keys import Keys
from roost_edge.feed.outcomes import Later, Outcome, Posted, outcome_of, said_ms
from roost_edge.feed.rows import Row
from roost_edge.feed.service import Replies, Reply
from roost_edge.feed.settings import FeedSettings
from roost_edge.feed.twitter_session import DirectedSession

_NOTHING: Final = (0, "", 0)
_MEDIA_LIVES_NS: Final = 20 * 3_600 * SECOND
"""The service forgets a picture that was not posted after 24 hours."""
_ODD: Final = (ValueError, TypeError, AttributeError, KeyError)
"""What an answer raises, in tweepy or here, that is no JSON or not of the form that was agreed."""
_PAGES: Final = 5
"""Of a hundred answers each: more in one go is left for the next time."""
_CONVERSATIONS: Final = 10
"""Threads asked after in one search; a query has at most 512 characters."""


class Twitter:
    """See the module and `roost_edge.feed.service.Service`."""

    mode = "service"
    paid = True

    def __init__(self, keys: Keys, settings: FeedSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        four = (keys.consumer_key, keys.consumer_secret, keys.access_token, keys.access_token_secret)
        self._v2 = tweepy.Client(None, *four, return_type=requests.Response)
        self._v2.session = DirectedSession(settings.base_url, settings.timeout_s)
        self._v1 = tweepy.API(tweepy.OAuth1UserHandler(*four), parser=tweepy.parsers.JSONParser())
        self._v1.session = DirectedSession(settings.base_url, settings.timeout_s)
        self._v1.timeout = settings.timeout_s
        self._uploaded: tuple[int, str, int] = _NOTHING
        """The newest picture that the service has (post, number, when): tried again, it need not be sent again."""
        self._me: tuple[str, str] = ("", "")

    def post(self, row: Row, picture: bytes, answers: str) -> Outcome:
        """See `Service`."""
        creating = False
        try:
            media = self._media(row, picture)
            creating = True
            response = self._v2.create_tweet(text=row.text, media_ids=[media], in_reply_to_tweet_id=answers or None)
            number = _number(response.json()["data"]["id"])
        except tweepy.HTTPException as error:
            return self._failed(error, creating=creating)
        except (tweepy.TweepyException, requests.RequestException) as error:
            return Later("unreachable", _why(error), unsure=creating and not _never_left(error))
        except _ODD as error:  # an answer that is not the service's: some proxy's own page
            return Later("service-down", _why(error), unsure=creating)
        self._uploaded = _NOTHING
        return Posted(number, said_ms=said_ms(_headers(response)))

    def _media(self, row: Row, picture: bytes) -> str:
        seq, media, at_ns = self._uploaded
        if seq == row.seq and self._clock.monotonic_ns() - at_ns < _MEDIA_LIVES_NS:
            return media
        if self._settings.media == "v2":
            body = {"media": base64.b64encode(picture).decode(), "media_category": "tweet_image"}
            said = self._v2.request("POST", "/2/media/upload", json=body, user_auth=True).json()
            media = _number(said["data"]["id"])
            if row.alt:
                about = {"id": media, "metadata": {"alt_text": {"text": row.alt}}}
                self._v2.request("POST", "/2/media/metadata", json=about, user_auth=True)
        else:
            said = self._v1.simple_upload(f"{row.seq}.jpg", file=io.BytesIO(picture))
            media = _number(said["media_id_string"])
            if row.alt:
                self._v1.create_media_metadata(media, row.alt)
        self._uploaded = (row.seq, media, self._clock.monotonic_ns())
        return media

    def _failed(self, error: tweepy.HTTPException, *, creating: bool) -> Outcome:
        response = error.response
        if response.status_code < 500 and response.status_code != 429:
            self._uploaded = _NOTHING
        codes = tuple(code for code in error.api_codes if isinstance(code, int))
        said = "; ".join(map(str, error.api_messages)) or response.reason or ""
        now_ms = self._clock.wall_ns() // MS
        return outcome_of(response.status_code, _headers(response), codes, said, now_ms=now_ms, creating=creating)

    def account(self) -> str:
        """See `Service`."""
        return f"@{self._who()[1]}"

    def replies(self, since: str, conversations: tuple[str, ...]) -> Replies:
        """See `Service`."""
        found: list[Reply] = []
        newest = since
        user, _ = self._who()
        query = " OR ".join(f"conversation_id:{one}" for one in conversations[:_CONVERSATIONS])
        if self._settings.replies == "search" and not query:
            return Replies((), since)
        token: str | None = None
        for _ in range(_PAGES):
            said = self._asked(user, f"({query}) is:reply", since, token)
            try:
                names = {one["id"]: one["username"] for one in said.get("includes", {}).get("users", [])}
                heard = [_reply(one, names) for one in said.get("data", []) if one["author_id"] != user]
                newest = max([newest, *(str(one["id"]) for one in said.get("data", []))], key=_in_order)
                token = said.get("meta", {}).get("next_token")
            except _ODD as error:
                raise _complaint("The service did not tell who answered", error) from error
            found += heard
            if not token:
                break
        return Replies(tuple(found), newest)

    def _asked(self, user: str, query: str, since: str, token: str | None) -> dict[str, Any]:
        options: dict[str, Any] = {
            # A search goes back seven days by itself, and refuses to begin with anything older.
            "since_id": (since or None) if self._settings.replies == "mentions" else None,
            "max_results": 100,
            "expansions": ["author_id"],
            "tweet_fields": ["author_id", "conversation_id", "created_at", "referenced_tweets"],
            "user_auth": True,
        }
        options = {name: value for name, value in options.items() if value is not None}
        try:
            if self._settings.replies == "search":
                page = {"next_token": token} if token else {}
                response = self._v2.search_recent_tweets(query, **options, **page)
            else:
                page = {"pagination_token": token} if token else {}
                response = self._v2.get_users_mentions(user, **options, **page)
            return dict(response.json())
        except (tweepy.TweepyException, requests.RequestException, *_ODD) as error:
            raise _complaint("The service did not tell who answered", error) from error

    def _who(self) -> tuple[str, str]:
        if not self._me[0]:
            try:
                said = self._v2.get_me().json()["data"]
                self._me = (str(said["id"]), str(said["username"]))
            except (tweepy.TweepyException, requests.RequestException, *_ODD) as error:
                raise _complaint("The service did not say whose account this is", error) from error
        return self._me


def _reply(one: Mapping[str, Any], names: Mapping[str, str]) -> Reply:
    to = next((ref["id"] for ref in one.get("referenced_tweets", []) if ref.get("type") == "replied_to"), "")
    at = datetime.fromisoformat(one["created_at"]) if "created_at" in one else None
    return Reply(
        id=str(one["id"]),
        to=str(to),
        conversation=str(one.get("conversation_id", "")),
        author=names.get(one["author_id"], str(one["author_id"])),
        text=str(one.get("text", "")),
        at_ms=0 if at is None else int(at.timestamp() * 1000),
    )


def _number(said: object) -> str:
    """What the service calls a thing. Raises ValueError for what cannot be."""
    if not (isinstance(said, str) and said.isascii() and said.isdigit()):
        raise ValueError("the service gave it no number")
    return said


def _in_order(number: str) -> tuple[int, str]:
    """The service's numbers grow; as text only those of one length do."""
    return len(number), number


def _headers(response: requests.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _never_left(error: BaseException) -> bool:
    """Whether the request certainly did not reach the service: there was no connection to send it by."""
    return isinstance(error, requests.ConnectTimeout) or (
        isinstance(error, requests.ConnectionError) and "NewConnectionError" in repr(error)
    )


def _why(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _complaint(what: str, error: BaseException) -> PeerError | Misuse:
    status = error.response.status_code if isinstance(error, tweepy.HTTPException) else 0
    if status in (401, 403):
        return Misuse(f"{what}: {_why(error)}.", "Make new keys with the right to read and write: roost feed keys.")
    return PeerError(f"{what}: {_why(error)}.", "Look at the network, and try again later.")
