"""The worker thread: in order, results and errors come back, and a hanging call holds nobody."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from roost_broker.worker import Worker


def test_calls_run_in_order_in_one_thread_and_return_their_values(run: Callable[..., Any]) -> None:
    async def main() -> list[Any]:
        worker = Worker("test")
        seen: list[int] = []
        calls = [worker.call(lambda n=n: (seen.append(n), threading.get_ident())[1]) for n in range(20)]
        threads = set(await asyncio.gather(*calls))
        worker.stop()
        assert threads != {threading.get_ident()}
        assert len(threads) == 1
        return seen

    assert run(main()) == list(range(20))


def test_an_error_reaches_the_caller_and_the_next_call_runs(run: Callable[..., Any]) -> None:
    async def main() -> int:
        worker = Worker("test")
        with pytest.raises(ZeroDivisionError):
            await worker.call(lambda: 1 // 0)
        value = await worker.call(lambda: 7)
        worker.stop()
        return value

    assert run(main()) == 7


def test_a_call_that_hangs_for_ever_does_not_keep_the_process_alive() -> None:
    code = """
import asyncio, threading
from roost_broker.worker import Worker
async def main():
    hanging = Worker("camera").call(threading.Event().wait)
    done, _ = await asyncio.wait({hanging}, timeout=0.05)
    print(len(done))
asyncio.run(main())
"""
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert said.stdout.strip() == "0"


def test_work_that_raises_stop_iteration_fails_instead_of_hanging(run: Callable[..., Any]) -> None:
    async def main() -> None:
        worker = Worker("test")
        with pytest.raises(RuntimeError, match="StopIteration"):
            await worker.call(next, iter(()))
        worker.stop()

    run(main())
