"""The service's endpoints over a `World`: a request's parts in, an answer out. No sockets."""

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.parser import BytesParser
from email.policy import HTTP
from urllib.parse import parse_qsl

from roost_edge.feed.practise.oauth import Signed, read, refusal
from roost_edge.feed.practise.world import OWNER, Answer, Media, Tweet, World, problem


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    origin: str
    """`http://127.0.0.1:8090`."""
    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    body: bytes
    now_s: int
    """By the service's clock, which may be one of a simulation."""
    real_s: int
    """By this machine's, which signed the request."""
    form: dict[str, bytes] = field(default_factory=dict)

    @property
    def content_type(self) -> str:
        """Without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def value(self, name: str) -> str:
        """From the form or the query; empty where it is not."""
        if name in self.form:
            return self.form[name].decode("utf-8", "replace")
        return dict(self.query).get(name, "")


_MENTIONS = re.compile(r"/2/users/(\d+)/mentions")
_CONVERSATION = re.compile(r"conversation_id:(\d+)")


def answered(world: World, asked: Asked) -> Answer:
    """What the service answers, with its limits and its rules on signatures."""
    found = _endpoint(asked)
    if found is None:
        return problem(404, "Not Found", f"There is nothing at {asked.path[:100]}.")
    name, work = found
    asked = _with_form(asked)
    why = _unsigned(world, asked)
    if why:
        body = {"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": f"Unauthorized: {why}."}
        return Answer(401, body)
    within, headers = world.count(name, asked.now_s)
    if not within:
        limited = problem(429, "Too Many Requests", "Too Many Requests")
        return Answer(429, limited.body, headers)
    answer = work(world, asked)
    return Answer(answer.status, answer.body, headers | answer.headers)


Work = Callable[[World, Asked], Answer]


def _endpoint(asked: Asked) -> tuple[str, Work] | None:
    if _MENTIONS.fullmatch(asked.path) and asked.method == "GET":
        return "GET /2/users/:id/mentions", _mentions
    return _TABLE.get((asked.method, asked.path))


def _unsigned(world: World, asked: Asked) -> str:
    form = asked.content_type == "application/x-www-form-urlencoded"
    parameters = [*asked.query]
    if form:
        parameters += parse_qsl(asked.body.decode("utf-8", "replace"), keep_blank_values=True)
    said = asked.headers.get("authorization", "")
    signed = Signed(asked.method, asked.origin + asked.path, parameters, said)
    why = refusal(signed, world.keys, asked.real_s)
    if not why and world.replayed(read(said)["oauth_nonce"]):
        return "this nonce was used before"
    return why


def _with_form(asked: Asked) -> Asked:
    """A form's values by name, of either kind."""
    form: dict[str, bytes] = {}
    if asked.content_type == "application/x-www-form-urlencoded":
        form = {name: value.encode() for name, value in parse_qsl(asked.body.decode("utf-8", "replace"))}
    elif asked.content_type == "multipart/form-data":
        head = f"Content-Type: {asked.headers['content-type']}\r\n\r\n".encode()
        for part in BytesParser(policy=HTTP).parsebytes(head + asked.body).iter_parts():
            name = part.get_param("name", header="content-disposition")
            content = part.get_payload(decode=True)
            if isinstance(name, str) and isinstance(content, bytes):
                form[name] = content
    return replace(asked, form=form)


def _json(asked: Asked) -> dict[str, object]:
    try:
        found = json.loads(asked.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


# -- pictures --------------------------------------------------------------------------------------------------------


def _upload(world: World, asked: Asked) -> Answer:
    """`POST /1.1/media/upload.json`: at once, or INIT, APPEND …, FINALIZE."""
    command = asked.value("command").upper()
    media = world.media.get(asked.value("media_id"))
    if command == "INIT":
        size = asked.value("total_bytes")
        return _media(world.begin(int(size), asked.now_s), 202) if size.isdigit() else _no_picture()
    if command == "APPEND" and media is not None and not media.whole:
        media.data += asked.form.get("media", b"")
        return Answer(204) if len(media.data) <= media.size else _no_picture()
    if command == "FINALIZE" and media is not None:
        return _media(media, 201) if world.finish(media) else _no_picture()
    if command:
        return _no_picture()
    data = asked.form.get("media", b"")
    if not data and "media_data" in asked.form:
        data = base64.b64decode(asked.form["media_data"])
    made = world.upload(data, asked.now_s)
    return _no_picture() if made is None else _media(made, 200)


def _status(world: World, asked: Asked) -> Answer:
    media = world.media.get(asked.value("media_id"))
    return _no_picture() if media is None else _media(media, 200, processing=True)


def _metadata(world: World, asked: Asked) -> Answer:
    """`POST /1.1/media/metadata/create.json`."""
    said = _json(asked)
    media = world.media.get(str(said.get("media_id")))
    text = said.get("alt_text")
    if media is None or not isinstance(text, dict):
        return _no_picture()
    media.alt = str(text.get("text", ""))[:1000]
    return Answer(200)


def _upload_v2(world: World, asked: Asked) -> Answer:
    """`POST /2/media/upload`: base64 in JSON, or a form."""
    try:
        data = asked.form.get("media") or base64.b64decode(str(_json(asked).get("media", "")), validate=True)
    except binascii.Error:
        data = b""
    made = world.upload(data, asked.now_s)
    if made is None:
        return problem(400, "Invalid Request", "The media could not be read.")
    return Answer(200, {"data": {"id": made.id, "media_key": f"3_{made.id}", "expires_after_secs": 86_400}})


def _metadata_v2(world: World, asked: Asked) -> Answer:
    said = _json(asked)
    media = world.media.get(str(said.get("id")))
    about = said.get("metadata")
    if media is None or not isinstance(about, dict):
        return problem(400, "Invalid Request", "There is no such media.")
    media.alt = str(about.get("alt_text", {}).get("text", ""))[:1000]
    return Answer(200, {"data": {"id": media.id}})


def _media(media: Media, status: int, *, processing: bool = False) -> Answer:
    body: dict[str, object] = {"media_id": int(media.id), "media_id_string": media.id, "expires_after_secs": 86_400}
    body["size"] = len(media.data)
    if processing:
        body["processing_info"] = {"state": "succeeded" if media.whole else "pending", "check_after_secs": 1}
    return Answer(status, body)


def _no_picture() -> Answer:
    return Answer(400, {"errors": [{"code": 324, "message": "The validation of media ids failed."}]})


# -- posts -----------------------------------------------------------------------------------------------------------


def _tweet(world: World, asked: Asked) -> Answer:
    said = _json(asked)
    media, reply = said.get("media"), said.get("reply")
    ids = media.get("media_ids", []) if isinstance(media, dict) else []
    answers = str(reply.get("in_reply_to_tweet_id", "")) if isinstance(reply, dict) else ""
    return world.tweet(str(said.get("text", "")), tuple(map(str, ids)), answers, asked.now_s)


def _me(_world: World, _asked: Asked) -> Answer:
    return Answer(200, {"data": {"id": OWNER[0], "username": OWNER[1], "name": OWNER[1]}})


def _mentions(world: World, asked: Asked) -> Answer:
    return _page(world.mentions(asked.value("since_id")), asked, "pagination_token")


def _search(world: World, asked: Asked) -> Answer:
    query = asked.value("query")
    if len(query) > 512:
        return problem(400, "Invalid Request", "The query is longer than 512 characters.")
    return _page(world.conversations(set(_CONVERSATION.findall(query)), asked.now_s), asked, "next_token")


def _page(found: list[Tweet], asked: Asked, token: str) -> Answer:
    begin = int(asked.value(token).removeprefix("page-") or 0)
    size = min(100, max(5, int(asked.value("max_results") or 10)))
    shown = found[begin : begin + size]
    meta: dict[str, object] = {"result_count": len(shown)}
    if begin + size < len(found):
        meta["next_token"] = f"page-{begin + size}"
    if not shown:
        return Answer(200, {"meta": meta})
    users = {one.author for one in shown}
    includes = {"users": [{"id": number, "username": name, "name": name} for number, name in sorted(users)]}
    return Answer(200, {"data": [_said(one) for one in shown], "includes": includes, "meta": meta})


def _said(one: Tweet) -> dict[str, object]:
    at = datetime.fromtimestamp(one.at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body: dict[str, object] = {"id": one.id, "text": one.text, "author_id": one.author[0], "created_at": at}
    body["conversation_id"] = one.conversation
    if one.answers:
        body["referenced_tweets"] = [{"type": "replied_to", "id": one.answers}]
    return body


_TABLE: dict[tuple[str, str], tuple[str, Work]] = {
    ("POST", "/1.1/media/upload.json"): ("POST media", _upload),
    ("GET", "/1.1/media/upload.json"): ("POST media", _status),
    ("POST", "/1.1/media/metadata/create.json"): ("POST media", _metadata),
    ("POST", "/2/media/upload"): ("POST media", _upload_v2),
    ("POST", "/2/media/metadata"): ("POST media", _metadata_v2),
    ("POST", "/2/tweets"): ("POST /2/tweets", _tweet),
    ("GET", "/2/users/me"): ("GET /2/users/me", _me),
    ("GET", "/2/tweets/search/recent"): ("GET /2/tweets/search/recent", _search),
}
