"""The catalogue of streams: who says what to whom, by the broker's rights, and who listens without being declared.

The book, ch. 6, "Hidden Dependencies" (requirements C3, M12): a producer that does not know its consumers cannot be
changed. Here a consumer is *declared* when the settings give it a user whose rights name the stream; the broker hands
messages to nobody else. Mosquitto grants every subscription and holds back what may not be read, so one who listens
without a right hears nothing, and is named here all the same when the broker's log shows his subscription.

Pure.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from roost_broker.access_rules import Rights
from roost_broker.catalogue import TopicEntry
from roost_broker.enumeration import first_of
from roost_broker.schemas import schema_name
from roost_broker.topics import matches, overlap, without_share

IMPORTED = "outside"
_ALWAYS = ("<requester>", "<role>", "<replica>", "<verb>")
"""Levels that stay open in the catalogue of one device."""


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One stream of this device."""

    topic: str
    """A topic, or a filter where a level stays open (a requester, a role)."""
    kind: str
    """As the catalogue of topics names it: `<node>/<task>/input`."""
    task: str
    sentence: str
    schemas: tuple[str, ...]
    retained: bool
    producers: tuple[str, ...]
    """Users whose rights let them publish here."""
    consumers: tuple[str, ...]
    """Users whose rights name this stream."""
    onlookers: tuple[str, ...]
    """Users who may hear everything, this too: operators, watchers, the gateway."""
    documented: tuple[str, str]
    """Who speaks and who listens as the catalogue of topics says in words."""


class Finding(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Something that should not be as it is."""

    about: str
    """A stream or a user."""
    problem: str
    remedy: str = ""


class Subscription(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """What somebody asked the broker for, as its log shows it."""

    client: str
    user: str
    """Of the connection; the client's id where the broker makes both the same."""
    topic: str


class Variable(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One value of external state: an input variable with its source and its readers."""

    name: str
    """`state.door`, as requests and reports name it."""
    task: str
    source: str
    """`topic weather/outside`, `file …`, `command …`, `computed daylight`."""
    producers: tuple[str, ...]
    """Users who may say it; empty where it is no topic."""
    readers: tuple[str, ...]
    """Models that get it with every request. Which of them use it, `roost features` finds."""


class StreamReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of it."""

    node: str
    streams: tuple[Stream, ...]
    variables: tuple[Variable, ...]
    findings: tuple[Finding, ...]
    """Undeclared readers, and outside streams that nobody is declared to feed."""
    seen: int
    """Subscriptions that were looked at; 0: only rights were."""


def streams(
    entries: Iterable[TopicEntry],
    base: str,
    levels: Mapping[str, Sequence[str]],
    rights: Rights,
    onlooker: Callable[[str], bool],
    imported: Mapping[str, str] | None = None,
) -> tuple[Stream, ...]:
    """Every stream of a device.

    `levels` gives the names of `<node>`, `<task>` and `<camera>`; of `<model>` by task as `<model>/<task>`, and those
    that run in several processes as `<replica>/<task>`. `onlooker` says which users look at everything by their office.
    `imported` are topics from outside of Roost with the task that uses them (the book's coupling by outside streams).
    """
    found = []
    for entry in entries:
        for topic, task in _expanded(entry.topic, levels):
            schemas = tuple(schema_name(one) for one in entry.content)
            words = (entry.producer, entry.consumers)
            found.append(
                _stream(
                    f"{base}/{topic}",
                    entry.topic,
                    task,
                    entry.sentence,
                    schemas,
                    entry.retained,
                    words,
                    rights,
                    onlooker,
                )
            )
    for topic, task in sorted((imported or {}).items()):
        sentence = "A value from outside, added to every request."
        words = ("outside", "state injector")
        found.append(_stream(topic, IMPORTED, task, sentence, (), False, words, rights, onlooker))
    return tuple(found)


def _stream(
    topic: str,
    kind: str,
    task: str,
    sentence: str,
    schemas: tuple[str, ...],
    retained: bool,
    documented: tuple[str, str],
    rights: Rights,
    onlooker: Callable[[str], bool],
) -> Stream:
    readers = sorted(user for user, grants in rights.items() if _touches(grants, "read", topic))
    writers = sorted(user for user, grants in rights.items() if _touches(grants, "write", topic))
    return Stream(
        topic=topic,
        kind=kind,
        task=task,
        sentence=sentence,
        schemas=schemas,
        retained=retained,
        producers=tuple(user for user in writers if not onlooker(user)),
        consumers=tuple(user for user in readers if not onlooker(user)),
        onlookers=tuple(user for user in readers if onlooker(user)),
        documented=documented,
    )


def report(
    node: str,
    found: Sequence[Stream],
    rights: Rights,
    subscriptions: Iterable[Subscription] = (),
    variables: Iterable[Variable] = (),
) -> StreamReport:
    """The catalogue with what is wrong with it. `rights` are those of the broker's users themselves."""
    seen = tuple(sorted(set(subscriptions)))
    findings = [*undeclared(found, rights, seen), *_loose_ends(found)]
    return StreamReport(
        node=node,
        streams=tuple(found),
        variables=tuple(sorted(variables)),
        findings=tuple(sorted(findings)),
        seen=len(seen),
    )


def undeclared(found: Iterable[Stream], rights: Rights, seen: Iterable[Subscription]) -> list[Finding]:
    """Readers that the settings do not know, and known ones that ask for more than they were given."""
    listed = tuple(found)
    findings: dict[tuple[str, str], list[str]] = {}
    for one in seen:
        topic = without_share(one.topic)
        allowed = [grant.topic for grant in rights.get(one.user, ()) if "read" in grant.access]
        if any(_covers(grant, topic) for grant in allowed):
            continue
        streams_hit = [
            stream.topic
            for stream in listed
            if overlap(topic, stream.topic) and not any(overlap(grant, stream.topic) for grant in allowed)
        ]
        if not streams_hit:
            continue
        known = one.user in rights
        who = "asks for" if known else "is no user of the settings, and asks for"
        findings.setdefault(
            (one.user or one.client, f"{who} {one.topic} (it touches {first_of(streams_hit, 3)})"), []
        ).append(one.client)
    remedy = "Nothing is handed to it. Give it the right in [mosquitto.programs], or stop it."
    return [Finding(about=user, problem=problem, remedy=remedy) for user, problem in sorted(findings)]


def _loose_ends(found: Iterable[Stream]) -> list[Finding]:
    """Outside streams that a task depends on and nobody is declared to feed."""
    return [
        Finding(
            about=stream.topic,
            problem=f"{', '.join(stream.consumers) or 'nobody'} listens, and no program is declared to publish here",
            remedy="Name its producer in [mosquitto.programs] with the right to write it.",
        )
        for stream in found
        if stream.kind == IMPORTED and not stream.producers
    ]


_CONNECTED = re.compile(r"New client connected from \S+ as (?P<client>\S+) \(.*?(?:u'(?P<user>[^']*)')?\)\.$")
_SUBSCRIBED = re.compile(r"(?:^|: )(?P<client>\S+) [012] (?P<topic>#|\S*/.*)$")


def read_log(lines: Iterable[str]) -> tuple[Subscription, ...]:
    """Subscriptions from a Mosquitto log with `log_type subscribe` (and, for user names, `connection_messages true`).

    Without the latter the client's id stands for the user, which is right at listeners with
    `use_username_as_clientid`. Unsubscribing is not followed: who asked once is worth a look.
    """
    users: dict[str, str] = {}
    found: dict[Subscription, None] = {}
    for line in lines:
        if connected := _CONNECTED.search(line):
            users[connected["client"]] = connected["user"] or connected["client"]
        elif asked := _SUBSCRIBED.search(line.strip()):
            client = asked["client"]
            found[Subscription(client=client, user=users.get(client, client), topic=asked["topic"])] = None
    return tuple(found)


def _touches(grants: Iterable[tuple[str, str]], access: str, topic: str) -> bool:
    return any(access in allowed and overlap(granted, topic) for allowed, granted in grants)


def _covers(grant: str, topic_filter: str) -> bool:
    """Whether everything that `topic_filter` catches is granted. `+` and `#` stand for a name that nobody has."""
    return matches(grant, topic_filter.replace("+", "\x01").replace("#", "\x01/\x01/\x01/\x01/\x01"))


def _expanded(topic: str, levels: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """The entry's topics with this device's names, each with its task."""
    found = [("", "")]
    for level in topic.split("/"):
        grown = []
        for prefix, task in found:
            if level in _ALWAYS:
                names: Sequence[str] = ("+",)
            elif level == "<model>":
                names = levels.get(f"{'<replica>' if '<replica>' in topic else '<model>'}/{task}", ())
            elif level.startswith("<"):
                names = levels.get(level, ())
            else:
                names = (level,)
            grown += [(f"{prefix}/{name}".lstrip("/"), name if level == "<task>" else task) for name in names]
        found = grown
    return found
