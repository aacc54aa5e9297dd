"""What an early answer saves: "don't wait for me" of a model that is behind, as a figure."""

from rendezvous_world import World

from roost_broker.clock import MS
from roost_rendezvous.mailbox.policy import MailboxPolicy
from roost_rendezvous.schedule import Default, Schedule, Step

SCHEDULE = Schedule(
    task="henhouse",
    sla_ms=2000,
    steps=(Step(after_ms=0, accept=("champion",)), Step(after_ms=600, accept=("champion", "fast"))),
    default=Default(after_ms=1900, label="unknown"),
)


def saved_ms(world: World) -> float:
    [(_, answer)] = world.answers["r"]
    return answer.early_ns / MS


def test_a_champion_that_declines_at_once_saves_the_rest_of_its_exclusive_time() -> None:
    world = World(SCHEDULE, MailboxPolicy())
    world.request("r", deadline_ms=2000)
    world.advance(5 * MS)
    world.score("r", "fast")
    world.advance(15 * MS)
    world.decline("r", "champion")
    assert saved_ms(world) == 580


def test_an_answer_in_its_models_own_time_saves_nothing() -> None:
    for model, after in (("champion", 5), ("fast", 700)):
        world = World(SCHEDULE, MailboxPolicy())
        world.request("r", deadline_ms=2000)
        world.advance(after * MS)
        world.score("r", model)
        assert saved_ms(world) == 0


def test_a_default_claims_no_saving() -> None:
    world = World(SCHEDULE, MailboxPolicy())
    world.request("r", deadline_ms=2000)
    for model in ("champion", "fast"):
        world.decline("r", model)
    assert saved_ms(world) == 0
