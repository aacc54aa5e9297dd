"""A scaffold whose model is busy: who waits, who goes together, and who is declined."""

from pathlib import Path
from typing import Any

from scaffold_world import CLOCK, HELD, Gate, Place, bundle_in, question, serving

from roost_broker.clock import boot_id
from roost_broker.frames import FrameStore
from roost_broker.messages import Input, Issued


def test_while_the_model_computes_the_older_waiting_request_is_declined_the_moment_a_newer_one_comes(
    place: Place, tmp_path: Path, run: Any
) -> None:
    async def main() -> None:
        bundle = bundle_in(tmp_path, HELD)
        async with serving(place, bundle, FrameStore(tmp_path)) as (watcher, scaffold):
            gate = Gate(tmp_path)
            first, second, third = gate.question(), question(), question()
            await watcher.ask(first)
            await gate.reached()
            await watcher.ask(second)
            await watcher.ask(third)
            declined = await watcher.declined()  # the model still computes
            assert (declined.request_id, declined.reason) == (second.request_id, "behind")
            gate.open()
            assert [(await watcher.score()).request_id for _ in "ac"] == [first.request_id, third.request_id]
            assert scaffold.counts["declined_behind"] == 1

    run(main())


def test_a_batching_model_evaluates_the_waiting_together(place: Place, tmp_path: Path, run: Any) -> None:
    async def main() -> None:
        bundle = bundle_in(tmp_path, HELD, batch={"sizes": [1, 4]}, queue={"strategy": "batch", "max_waiting": 4})
        async with serving(place, bundle, FrameStore(tmp_path)) as (watcher, scaffold):
            gate = Gate(tmp_path)
            await watcher.ask(gate.question())
            await gate.reached()
            waiting = [question() for _ in range(4)]
            for request in waiting:
                await watcher.ask(request)
            while scaffold.counts["requests"] < 5:
                await watcher.state("ready")
            gate.open()
            assert (await watcher.score()).batch == 1
            scores = [await watcher.score() for _ in waiting]
            assert [score.request_id for score in scores] == [request.request_id for request in waiting]
            assert {score.batch for score in scores} == {4}

    run(main())


def test_of_a_batch_only_the_request_at_which_the_model_raises_is_declined(
    memory: Place, tmp_path: Path, run: Any
) -> None:
    async def main() -> None:
        bundle = bundle_in(tmp_path, HELD, batch={"sizes": [1, 2]}, queue={"strategy": "batch", "max_waiting": 2})
        async with serving(memory, bundle, FrameStore(tmp_path)) as (watcher, scaffold):
            gate = Gate(tmp_path)
            await watcher.ask(gate.question())
            await gate.reached()
            bad, good = question(input=Input(inline=question().input.inline, values={"raise": True})), question()
            await watcher.ask(bad)
            await watcher.ask(good)
            while scaffold.counts["requests"] < 3:
                await watcher.state("ready")
            gate.open()
            await watcher.score()
            declined = await watcher.declined()
            assert (declined.request_id, declined.reason) == (bad.request_id, "failed")
            assert "the model's own mistake" in declined.detail
            assert (await watcher.score()).request_id == good.request_id

    run(main())


def test_a_request_whose_time_was_over_when_it_came_is_declined_expired(place: Place, tmp_path: Path, run: Any) -> None:
    async def main() -> None:
        async with serving(place, bundle_in(tmp_path), FrameStore(tmp_path)) as (watcher, _):
            issued = Issued(boot=boot_id(), seq=1, monotonic_ns=CLOCK.monotonic_ns() - 10**9)
            await watcher.ask(question(deadline_ms=900, issued=issued))
            assert (await watcher.declined()).reason == "expired"
            elsewhere = Issued(boot="f" * 32, seq=1, monotonic_ns=1)
            await watcher.ask(question(issued=elsewhere))  # another machine's clock says nothing here
            await watcher.score()

    run(main())


def test_a_request_that_expires_while_the_model_computes_is_declined_then(
    memory: Place, tmp_path: Path, run: Any
) -> None:
    async def main() -> None:
        async with serving(memory, bundle_in(tmp_path, HELD), FrameStore(tmp_path)) as (watcher, _):
            gate = Gate(tmp_path)
            await watcher.ask(gate.question())
            await gate.reached()
            await watcher.ask(question(deadline_ms=30))
            assert (await watcher.declined()).reason == "expired"
            gate.open()
            await watcher.score()

    run(main())
