"""Posts to the practise service over real HTTP, by the real tweepy."""

import io
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import tweepy
from PIL import Image

from roost_broker.clock import SECOND, VirtualClock
from roost_broker.errors import Misuse, PeerError
from roost_edge.feed import keys
from roost_edge.feed.delivering import Deliverer
from roost_edge.feed.keys import Keys
from roost_edge.feed.practise.server import PractiseServer, served
from roost_edge.feed.practise.world import OWNER, PRACTISE_KEYS, Fault, World
from roost_edge.feed.rows import Changes, Draft
from roost_edge.feed.settings import FeedSettings
from roost_edge.feed.store import Store
from roost_edge.feed.twitter import Twitter
from roost_edge.feed.twitter_session import DirectedSession

KEYS = Keys(**{name: getattr(PRACTISE_KEYS, name) for name in keys.NAMES})
HOUR = 3_600 * SECOND


def jpeg(side: int = 64) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (side, side), (90, 140, 60)).save(out, "JPEG")
    return out.getvalue()


def draft(request: int, *, sighting: int = 0, text: str = "") -> Draft:
    return Draft(
        request_id=f"{request:032x}",
        sighting_id=f"{sighting or request:032x}",
        ordinal=int(bool(sighting)),
        task="door",
        camera="nest",
        label="blue jay",
        text=text or f"Blue jay, very likely.\nblue jay 90 %\nnest, 14:0{request}",
        alt="Picture of the camera nest.",
        picture=jpeg(),
        frame="f" * 64,
        at_ms=1_800_000_000_000,
    )


class Feed:
    """A store, a service and who brings from one to the other."""

    def __init__(self, folder: Path, server: PractiseServer, clock: VirtualClock, **others: object) -> None:
        self.server, self.clock, self.folder = server, clock, folder
        self.settings = FeedSettings(base_url=server.url, timeout_s=60.0, **others)  # type: ignore[arg-type]  # as a test wants them
        self.begin()

    def begin(self, used: Keys = KEYS, boot: str = "b" * 32) -> None:
        """As a process that starts; an earlier one may have been killed."""
        self.store = Store(self.folder / "feed.db", self.clock, boot=boot)
        self.service = Twitter(used, self.settings, self.clock)
        self.counts: Counter[str] = Counter()
        self.deliverer = Deliverer(
            self.store, lambda: self.service, self.settings, self.clock, self.counts, spread=lambda: 0.5
        )

    def queue(self, *drafts: Draft) -> None:
        self.store.commit(Changes(list(drafts)), max_waiting=self.settings.max_waiting)

    def send(self) -> int:
        """Until nothing may be sent any more. Returns how many attempts."""
        attempts = 0
        while self.deliverer.one():
            attempts += 1
        return attempts

    @property
    def texts(self) -> list[str]:
        return [one.text for one in self.server.world.tweets.values() if one.author == OWNER]

    def standing(self) -> tuple[int, str]:
        found = self.deliverer.standing(paid=True)
        return found.wait_ns // SECOND, found.why.split(":")[0]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def server(clock: VirtualClock) -> Iterator[PractiseServer]:
    with served(world=World(per_day=50), clock=clock) as server:
        yield server


@pytest.fixture
def feed(tmp_path: Path, server: PractiseServer, clock: VirtualClock) -> Iterator[Feed]:
    feed = Feed(tmp_path, server, clock)
    yield feed
    feed.store.close()


@pytest.mark.parametrize("media", ["v1.1", "v2"])
def test_a_post_has_its_picture_with_words_for_the_blind_and_the_next_one_answers_it(
    tmp_path: Path, server: PractiseServer, clock: VirtualClock, media: str
) -> None:
    feed = Feed(tmp_path, server, clock, media=media)
    feed.queue(draft(1), draft(2, sighting=1), draft(3))
    assert feed.send() == 3
    first, answer, other = server.world.tweets.values()
    assert (first.text, first.answers, answer.answers, other.answers) == (draft(1).text, "", first.id, "")
    picture = server.world.media[first.media[0]]
    assert (picture.data, picture.alt) == (jpeg(), "Picture of the camera nest.")
    assert [row.service_id for row in feed.store.newest(3)] == [other.id, answer.id, first.id]
    assert feed.counts == {"posted": 3}
    assert feed.store.spent() == [clock.wall_ns() // 10**6] * 3
    feed.store.close()


def test_a_limit_is_waited_for_as_long_as_the_service_says_and_not_asked_before(
    feed: Feed, clock: VirtualClock
) -> None:
    now_s = clock.wall_ns() // SECOND
    feed.server.world.faults.append(
        Fault("/2/tweets", 429, headers={"x-rate-limit-remaining": "0", "x-rate-limit-reset": str(now_s + 5_000)})
    )
    feed.queue(draft(1))
    assert feed.send() == 1
    assert feed.standing() == (5_001, "rate-limit")
    asked = len(feed.server.world.requests)
    clock.step_wall(900 * HOUR)  # a jump of the wall clock ends no pause of this boot
    clock.advance(5_000 * SECOND)
    assert feed.send() == 0
    assert len(feed.server.world.requests) == asked
    clock.step_wall(-900 * HOUR)
    clock.advance(SECOND)
    assert feed.send() == 1
    assert feed.texts == [draft(1).text]


def test_a_pause_of_the_service_outlives_a_restart(feed: Feed, clock: VirtualClock) -> None:
    feed.server.world.faults.append(Fault("/2/tweets", 429, headers={"retry-after": "600"}))
    feed.queue(draft(1))
    feed.send()
    feed.store.close()
    feed.begin(boot="c" * 32)
    assert feed.send() == 0
    assert feed.standing() == (601, "rate-limit")
    clock.advance(601 * SECOND)
    assert feed.send() == 1


def test_a_service_that_is_down_is_asked_more_and_more_seldom_and_nothing_is_lost(
    feed: Feed, clock: VirtualClock
) -> None:
    feed.server.world.faults.append(Fault("/1.1/media/upload.json", 503, times=5))
    feed.queue(draft(1))
    waits: list[int] = []
    while len(waits) < 9 and feed.send():
        waits.append(feed.standing()[0])
        clock.advance(waits[-1] * SECOND)
    assert waits == [30, 60, 120, 240, 480, 0]
    assert feed.texts == [draft(1).text]


def test_an_answer_that_is_lost_on_its_way_makes_no_second_post(feed: Feed, clock: VirtualClock) -> None:
    """1. The service posts. 2. Its answer is lost. 3. We ask again. 4. "You have said that": it is there."""
    feed.server.world.faults.append(Fault("/2/tweets", 0, after=True))
    feed.queue(draft(1))
    feed.send()
    assert feed.counts == {"unreachable": 1}
    assert len(feed.store.spent()) == 1
    clock.advance(HOUR)
    feed.send()
    assert feed.texts == [draft(1).text]
    assert feed.counts == {"unreachable": 1, "posted": 1}
    assert [row.state for row in feed.store.newest(1)] == ["posted"]


def test_a_process_that_is_killed_while_it_posts_makes_no_second_post(feed: Feed) -> None:
    """1. The attempt is written down. 2. The service posts. 3. kill -9. 4. The next process asks again."""
    feed.queue(draft(1))
    row = feed.store.waiting()[0]
    feed.store.attempt(row.seq, paid=True)
    feed.service.post(row, jpeg(), "")
    feed.store.close()
    feed.begin()
    feed.send()
    assert feed.texts == [draft(1).text]
    assert [row.state for row in feed.store.newest(1)] == ["posted"]


def test_the_same_words_twice_are_dropped_with_what_the_service_said_and_cost_nothing(feed: Feed) -> None:
    feed.queue(draft(1, text="Blue jay."), draft(2, text="Blue jay."), draft(3))
    feed.send()
    assert feed.texts == ["Blue jay.", draft(3).text]
    dropped = feed.store.newest(3)[1]
    assert (dropped.state, "duplicate content" in dropped.reason) == ("dropped", True)
    assert len(feed.store.spent()) == 2


def test_keys_that_are_refused_stop_the_feed_for_an_hour_and_are_named(tmp_path: Path, feed: Feed) -> None:
    wrong = Keys(**{name: getattr(KEYS, name) + ("x" if name == "access_token_secret" else "") for name in keys.NAMES})
    feed.store.close()
    feed.begin(wrong)
    feed.queue(draft(1))
    assert feed.send() == 1
    assert feed.standing() == (3_600, "keys")
    assert feed.texts == []
    with pytest.raises(Misuse, match=r"the signature does not fit.*roost feed keys"):
        feed.service.account()


def test_a_clock_that_is_not_set_posts_nothing_and_asks_nobody(feed: Feed, clock: VirtualClock) -> None:
    clock.step_wall(-clock.wall_ns())
    feed.queue(draft(1))
    assert feed.send() == 0
    assert list(feed.server.world.requests) == []
    assert feed.standing()[1] == "the clock is not set yet"


def test_the_budget_holds_over_restarts_and_jumps_of_the_clock(
    tmp_path: Path, server: PractiseServer, clock: VirtualClock
) -> None:
    feed = Feed(tmp_path, server, clock, per_day=2, per_month=3, expiry_s=2_592_000)
    feed.queue(*(draft(n) for n in range(1, 7)))
    assert feed.send() == 2
    feed.store.close()
    feed.begin(boot="c" * 32)
    assert feed.send() == 0
    clock.step_wall(-5 * 24 * HOUR)  # what was spent lies in the future, and counts
    assert feed.send() == 0
    clock.step_wall(5 * 24 * HOUR)
    clock.advance(24 * HOUR)
    assert feed.send() == 1
    assert feed.standing()[1] == "the budget is spent"
    clock.advance(29 * 24 * HOUR)
    assert feed.send() == 0
    clock.advance(24 * HOUR)
    assert feed.send() == 2
    assert len(feed.texts) == 5
    feed.store.close()


def test_what_waited_too_long_is_dropped_and_the_rest_is_sent(feed: Feed, clock: VirtualClock) -> None:
    feed.queue(draft(1))
    clock.advance(6 * HOUR)
    feed.queue(draft(2))
    assert feed.deliverer.expire() == 1
    feed.send()
    assert feed.texts == [draft(2).text]
    assert "waited longer" in feed.store.newest(2)[1].reason


def test_an_answer_to_a_post_that_never_got_there_begins_a_thread_of_its_own(feed: Feed) -> None:
    feed.queue(draft(1), draft(2, sighting=1))
    feed.store.drop(1, "taken out by hand")
    feed.send()
    assert [one.answers for one in feed.server.world.tweets.values()] == [""]


def test_nobody_there_is_no_attempt_that_could_have_worked(feed: Feed) -> None:
    feed.settings = FeedSettings(base_url="http://127.0.0.1:9")
    feed.service = Twitter(KEYS, feed.settings, feed.clock)
    feed.queue(draft(1))
    feed.send()
    assert (feed.standing()[1], feed.store.spent(), feed.store.waiting()[0].unsure) == ("unreachable", [], False)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_signed_request_is_not_carried_along_a_redirection(feed: Feed, status: int) -> None:
    with served() as elsewhere:
        feed.server.world.faults.append(
            Fault("/1.1/media/upload.json", status, headers={"Location": f"{elsewhere.url}/1.1/media/upload.json"})
        )
        feed.queue(draft(1))
        feed.send()
        assert list(elsewhere.world.requests) == []
    assert feed.store.waiting()[0].state == "waiting"


def test_a_page_of_a_hotel_network_is_no_answer_of_the_service(feed: Feed) -> None:
    feed.server.world.faults.append(
        Fault("/1.1/media/upload.json", 200, headers={"Content-Type": "text/html"}, body="<h1>Log in to our Wi-Fi</h1>")
    )
    feed.queue(draft(1))
    feed.send()
    assert feed.texts == []
    assert feed.store.waiting()[0].attempts == 1


def test_a_picture_that_the_service_has_is_not_sent_again(feed: Feed, clock: VirtualClock) -> None:
    feed.server.world.faults.append(Fault("/2/tweets", 503))
    feed.queue(draft(1))
    feed.send()
    clock.advance(HOUR)
    feed.send()
    assert list(feed.server.world.requests).count("POST /1.1/media/upload.json") == 1
    assert len(feed.texts) == 1


@pytest.mark.parametrize("how", ["mentions", "search"])
def test_answers_of_people_are_found_once_page_by_page_and_not_our_own(
    tmp_path: Path, server: PractiseServer, clock: VirtualClock, how: str
) -> None:
    feed = Feed(tmp_path, server, clock, replies=how)
    feed.queue(draft(1), draft(2, sighting=1))
    feed.send()
    first, second = server.world.tweets
    for number in range(130):
        server.world.say(("77", "ann"), f"@{OWNER[1]} jay {number}", second, clock.wall_ns() // SECOND)
    found = feed.service.replies("", (first,))
    assert len(found.replies) == 130
    assert {(one.to, one.conversation, one.author) for one in found.replies} == {(second, first, "ann")}
    if how == "mentions":
        assert feed.service.replies(found.newest, (first,)).replies == ()
    feed.store.close()


def test_a_service_that_does_not_tell_of_answers_is_a_sentence(feed: Feed) -> None:
    feed.server.world.faults.append(Fault("/2/users", 500, times=9))
    with pytest.raises(PeerError, match="did not say whose account"):
        feed.service.replies("", ())


def test_the_chunked_upload_of_tweepy_works_with_the_practise_service(feed: Feed) -> None:
    data = jpeg(2_000) + b"\0" * 1_500_000
    api = tweepy.API(tweepy.OAuth1UserHandler(*(getattr(KEYS, name) for name in keys.NAMES)))
    api.session = DirectedSession(feed.server.url, 60.0)
    media = api.chunked_upload("a.jpg", file=io.BytesIO(data), file_type="image/jpeg")
    assert feed.server.world.media[media.media_id_string].data == data
    assert api.get_media_upload_status(media.media_id).processing_info["state"] == "succeeded"


def test_the_practise_service_is_for_this_machine_alone(server: PractiseServer) -> None:
    asked = Request(f"{server.url}/practise/state", headers={"Host": "evil.example"})  # noqa: S310  # our own server
    with pytest.raises(OSError, match="403"), urlopen(asked):  # noqa: S310  # our own server
        pass
    with urlopen(f"{server.url}/practise/state") as answer:  # noqa: S310  # as above
        assert json.load(answer)["tweets"] == []


def test_the_practise_service_limits_posts_of_a_day_and_says_until_when(tmp_path: Path, clock: VirtualClock) -> None:
    with served(world=World(per_day=2), clock=clock) as server:
        feed = Feed(tmp_path, server, clock)
        feed.queue(draft(1), draft(2), draft(3))
        assert feed.send() == 3
        assert len(feed.texts) == 2
        assert feed.standing() == (86_401, "rate-limit")
        clock.advance(86_401 * SECOND)
        feed.send()
        assert [row.state for row in feed.store.newest(1)] == ["posted"]
        feed.store.close()


ODD: tuple[object, ...] = ([1, 2], "text", 7, {"data": [3]}, {"data": None}, {"errors": 5}, {"data": {"id": {"a": 1}}})


@pytest.mark.parametrize("status", [200, 400, 403, 500])
@pytest.mark.parametrize("path", ["/1.1/media/upload.json", "/2/tweets"])
def test_answers_that_are_not_as_agreed_harm_nobody(feed: Feed, clock: VirtualClock, path: str, status: int) -> None:
    for number, body in enumerate(ODD, 1):
        feed.server.world.faults.append(Fault(path, status, body=body))
        feed.queue(draft(number, text=f"Number {number}."))
        assert feed.deliverer.one()
        feed.server.world.faults.clear()
        clock.advance(2 * HOUR)
    while feed.deliverer.one():
        clock.advance(2 * HOUR)
    assert {row.state for row in feed.store.newest(99)} <= {"posted", "dropped"}


@pytest.mark.parametrize("path", ["/2/users/me", "/2/users/1000/mentions"])
def test_odd_answers_about_people_are_sentences(feed: Feed, path: str) -> None:
    for body in (*ODD, {"data": [{"id": 5}]}, {"data": [{"author_id": 1}], "includes": 3}):
        feed.server.world.faults.append(Fault(path, 200, body=body))
        with suppress(PeerError):  # a sentence; what is no answer of anybody is none
            assert feed.service.replies("", ()).replies == ()
        feed.server.world.faults.clear()
        feed.service = Twitter(KEYS, feed.settings, feed.clock)
