from roost_broker.clock import MS, SECOND
from roost_broker.messages import Answer, Hop, Input, Provenance, Result
from roost_edge.alerts.reading import read_result
from roost_edge.asked_at import asked_at_ms

WALL_MS = 1_800_000_000_000
DAY_MS = 86_400_000


def result(*hops: tuple[str, int]) -> Result:
    path = [Hop(node=node, component="anything", at=at) for node, at in hops]
    return Result(
        timestamp=WALL_MS,
        message_id="1" * 32,
        provenance=Provenance(path=path),
        request_id="2" * 32,
        cause="preferred",
        answer=Answer(model="champion", version="1", label="fox", score=0.9),
        elapsed_ms=12.0,
        sla_ms=2000,
        tags={"camera": "nest"},
        input=Input(),
    )


def test_a_picture_that_waited_a_day_for_its_answer_is_a_day_old() -> None:
    late = result(("coop", WALL_MS - DAY_MS), ("coop", WALL_MS - 20), ("coop", WALL_MS))
    assert asked_at_ms(late) == WALL_MS - DAY_MS
    seen = read_result(late, task="nest", cameras=frozenset({"nest"}), wall_ns=WALL_MS * MS + SECOND)
    assert not isinstance(seen, str)
    assert (seen.at_ms, seen.age_ns) == (WALL_MS - DAY_MS, DAY_MS * MS + SECOND)


def test_where_nobody_says_or_another_machine_asked_it_is_as_old_as_its_answer() -> None:
    assert asked_at_ms(result()) == WALL_MS
    assert asked_at_ms(result(("telephone", WALL_MS - DAY_MS), ("coop", WALL_MS))) == WALL_MS


def test_a_clock_that_went_back_meanwhile_makes_no_answer_come_before_its_question() -> None:
    assert asked_at_ms(result(("coop", WALL_MS + DAY_MS), ("coop", WALL_MS))) == WALL_MS
