import msgspec
import pytest

from roost_broker.centre.lanes import LANE_NAMES, LANES
from roost_broker.centre.streams import ARCHIVE, Limits, StreamPlan, StreamSettings, plans, settled, step
from roost_broker.errors import Misuse


def plan(name: str, settings: StreamSettings | None = None) -> StreamPlan:
    return next(one for one in plans(settings or StreamSettings()) if one.name == name)


def test_there_is_a_stream_for_each_lane_one_for_frames_and_one_for_down() -> None:
    names = [one.name for one in plans(StreamSettings())]
    assert names == [*(LANES[name].stream for name in LANE_NAMES), "OBJ_frames", "DOWN"]


def test_all_lanes_have_a_consumer_for_the_archive_frames_and_what_goes_down_have_none() -> None:
    for one in plans(StreamSettings()):
        assert (ARCHIVE in one.durables) == (one.name not in ("DOWN", "OBJ_frames"))


def test_a_full_lane_refuses_what_is_new_so_that_nothing_is_lost_silently() -> None:
    assert {one.discard for one in plans(StreamSettings()) if one.name != "DOWN"} == {"new"}


def test_bounds_of_a_lane_and_the_number_of_copies_are_settings() -> None:
    settings = StreamSettings(replicas=3, lanes={"inputs": Limits(max_age_days=2, max_bytes=5_000_000)})
    inputs = plan("INPUTS", settings)
    assert (inputs.max_age_s, inputs.max_bytes, inputs.replicas) == (172_800, 5_000_000, 3)
    assert plan("SCORES", settings).max_age_s == plan("SCORES").max_age_s


def test_a_stream_that_is_missing_is_created_and_one_that_is_so_stays_untouched() -> None:
    wanted = plan("INPUTS")
    assert step(wanted, None).what == "created"
    assert step(wanted, wanted).what == "unchanged"


def test_a_change_that_loses_nothing_is_made_and_told() -> None:
    wanted = plan("INPUTS")
    found = msgspec.structs.replace(wanted, max_bytes=1_000_000, dedupe_s=1.0)
    decided = step(wanted, found)
    assert decided.what == "changed"
    assert set(decided.changes) == {"max_bytes", "dedupe_s"}
    assert settled(wanted, found, decided) == wanted


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("max_bytes", 10**15),
        ("max_bytes", -1),
        ("max_age_s", 10.0**9),
        ("max_age_s", 0.0),
        ("replicas", 3),
        ("subjects", ("up.inputs.>", "elsewhere.>")),
    ],
)
def test_what_would_throw_messages_away_is_refused_and_left_as_it_is(field: str, found: object) -> None:
    wanted = plan("INPUTS")
    there = msgspec.structs.replace(wanted, **{field: found}, dedupe_s=1.0)
    decided = step(wanted, there)
    assert decided.what == "refused-to-shrink"
    assert decided.refused == (field,)
    target = settled(wanted, there, decided)
    assert getattr(target, field) == found
    assert target.dedupe_s == wanted.dedupe_s  # the harmless part is done


def test_asked_to_shrink_it_shrinks() -> None:
    wanted = plan("INPUTS")
    there = msgspec.structs.replace(wanted, max_bytes=10**15)
    decided = step(wanted, there, shrink=True)
    assert (decided.what, decided.refused) == ("changed", ())
    assert settled(wanted, there, decided) == wanted


def test_a_consumer_that_is_missing_is_made() -> None:
    wanted = plan("INPUTS")
    decided = step(wanted, msgspec.structs.replace(wanted, durables={}))
    assert (decided.what, decided.durables) == ("changed", (ARCHIVE,))


@pytest.mark.parametrize(
    "document",
    [
        "replicas = 2",
        "dedupe_minutes = 0",
        "trim_above = 2.0",
        "unknown = 1",
        "[lanes.inputz]\nmax_bytes = 5_000_000",
        "[lanes.inputs]\nmax_bytes = 5",
        "[lanes.inputs]\nmax_age_days = 0",
        "[lanes.inputs]\nmax_age_days = 0.02",
    ],
)
def test_documents_that_cannot_be_meant_are_refused(document: str) -> None:
    with pytest.raises((Misuse, msgspec.ValidationError)):
        msgspec.toml.decode(document, type=StreamSettings)
