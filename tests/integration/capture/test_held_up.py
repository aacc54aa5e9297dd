"""What is asked while the broker is away is asked when it is back, as something new: models look at no old question."""

import asyncio

from capture_world import Device, Run

from roost_broker.clock import SystemClock
from roost_broker.memory import MemoryBroker


def test_a_request_that_waited_for_the_broker_begins_its_time_when_it_is_published(
    device: Device, memory: MemoryBroker, run: Run
) -> None:
    async def main() -> None:
        async with device.others() as others:
            memory.stop()
            async with device.capture(max_requests=2):
                while not (device.log_path.exists() and device.summary().requests == 2):
                    await asyncio.to_thread(lambda: None)
                assert others.requests == []
                back = SystemClock().monotonic_ns()
                memory.start()
                await others.until(lambda: others.count("finished") == 1 and others.count("open") == 0)
        issued = {request.issued.seq: request.issued for request in others.requests if request.issued is not None}
        assert {one.attempt for one in issued.values()} == {1}
        assert issued[1].monotonic_ns >= back  # the second may still have been on its way into the log
        assert device.summary().republished == 0

    run(main())
