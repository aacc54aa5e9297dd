"""The catalogue of streams: rights in, producers and consumers out; and who shows up without being declared."""

import xml.etree.ElementTree as ET

import pytest

from roost_broker.access_rules import Rights, read, write
from roost_broker.catalogue import topic_catalogue
from roost_rendezvous.analytics.features import drawing
from roost_rendezvous.analytics.features.streams import (
    Stream,
    StreamReport,
    Subscription,
    read_log,
    report,
    streams,
)

RIGHTS: Rights = {
    "injector": (*read("roost/coop-1/nest/raw", "weather/outside"), *write("roost/coop-1/nest/input")),
    "model": (*read("roost/coop-1/nest/input"), *write("roost/coop-1/nest/scores/hen")),
    "rendezvous": (*read("roost/coop-1/nest/scores/+"), *write("roost/coop-1/+/results/+")),
    "station": write("weather/#"),
    "watcher": read("roost/coop-1/#"),
}
LEVELS = {"<node>": ("coop-1",), "<task>": ("nest",), "<model>/nest": ("hen",)}


def catalogue(**imported: str) -> tuple[Stream, ...]:
    outside = {"weather/outside": "nest", **imported}
    return streams(topic_catalogue(), "roost", LEVELS, RIGHTS, lambda user: user == "watcher", outside)


def one(topic: str) -> Stream:
    return next(stream for stream in catalogue() if stream.topic == topic)


def test_producers_and_consumers_are_those_with_the_right() -> None:
    assert one("roost/coop-1/nest/input").producers == ("injector",)
    assert one("roost/coop-1/nest/input").consumers == ("model",)
    assert one("roost/coop-1/nest/scores/hen").consumers == ("rendezvous",)
    assert one("roost/coop-1/nest/results/+").producers == ("rendezvous",)


def test_whoever_may_hear_everything_is_an_onlooker_and_no_consumer() -> None:
    assert one("roost/coop-1/nest/input").onlookers == ("watcher",)
    assert all("watcher" not in stream.consumers for stream in catalogue())


def test_outside_streams_stand_in_the_catalogue_with_their_producer() -> None:
    outside = one("weather/outside")
    assert (outside.kind, outside.producers, outside.consumers) == ("outside", ("station",), ("injector",))


def test_an_outside_stream_that_nobody_is_declared_to_feed_is_named() -> None:
    found = streams(topic_catalogue(), "roost", LEVELS, {"injector": read("tide")}, lambda _: False, {"tide": "nest"})
    findings = report("coop-1", found, {}).findings
    assert [finding.about for finding in findings] == ["tide"]
    assert "no program is declared" in findings[0].problem


def looked(*asked: tuple[str, str]) -> StreamReport:
    seen = [Subscription(client=user, user=user, topic=topic) for user, topic in asked]
    return report("coop-1", catalogue(), RIGHTS, seen)


def test_readers_that_keep_to_their_rights_are_not_named() -> None:
    asked = (
        ("model", "roost/coop-1/nest/input"),
        ("model", "$share/hen/roost/coop-1/nest/input"),
        ("rendezvous", "roost/coop-1/nest/scores/+"),
        ("watcher", "roost/coop-1/#"),
        ("station", "elsewhere/entirely"),
    )
    assert looked(*asked).findings == ()
    assert looked(*asked).seen == len(asked)


@pytest.mark.parametrize(
    "topic", ["roost/coop-1/nest/input", "roost/+/nest/#", "#", "$share/x/roost/coop-1/nest/input", "weather/outside"]
)
def test_a_stranger_is_named_whatever_he_asks_for(topic: str) -> None:
    findings = looked(("eve", topic)).findings
    assert [finding.about for finding in findings] == ["eve"]
    assert "no user of the settings" in findings[0].problem


def test_a_known_user_who_asks_for_more_than_he_was_given_is_named() -> None:
    findings = looked(("model", "roost/coop-1/nest/scores/+")).findings
    assert [finding.about for finding in findings] == ["model"]
    assert "asks for roost/coop-1/nest/scores/+" in findings[0].problem


LOG = """\
1795277939: Warning: Mosquitto should not be run as root/administrator.
1795277940: New connection from 127.0.0.1:45710 on port 18977.
1795277940: New client connected from 127.0.0.1:45710 as spy (p2, c1, k60, u'eve').
1795277940: spy 0 roost/+/nest/#
1795277940: spy 1 $share/x/roost/a/b
1795277942: Client spy disconnected.
1795277942: New client connected from 127.0.0.1:45714 as auto-EC58 (p5, c1, k60).
1795277942: auto-EC58 2 #
Nov 21 16:00:00 coop-1 mosquitto[7]: 1795277950: decoy-nest 1 roost/coop-1/nest/input
"""


def test_subscriptions_are_read_from_mosquittos_log_with_the_user_of_the_connection() -> None:
    assert read_log(LOG.splitlines()) == (
        Subscription(client="spy", user="eve", topic="roost/+/nest/#"),
        Subscription(client="spy", user="eve", topic="$share/x/roost/a/b"),
        Subscription(client="auto-EC58", user="auto-EC58", topic="#"),
        Subscription(client="decoy-nest", user="decoy-nest", topic="roost/coop-1/nest/input"),
    )


def test_the_graph_has_a_line_for_each_right_that_is_no_onlookers() -> None:
    whole = report("coop-1", catalogue(), RIGHTS)
    text = drawing.dot(whole, task="nest")
    assert '"role injector" -> "roost/coop-1/nest/input";' in text
    assert '"roost/coop-1/nest/input" -> "role model";' in text
    assert "watcher" not in text


def test_the_picture_is_well_formed_and_names_cannot_break_out_of_it() -> None:
    nasty = '<script>"&'
    found = streams(topic_catalogue(), "roost", LEVELS, {nasty: read("roost/coop-1/nest/input")}, lambda _: False, {})
    picture = drawing.svg(report(nasty, found, {}))
    root = ET.fromstring(picture)  # noqa: S314 — our own text
    lines = [element for element in root.iter() if element.tag.endswith("path")]
    assert len(lines) == 1
    assert "<script>" not in picture
