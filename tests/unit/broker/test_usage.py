"""What a process costs, told once however many roles it runs."""

import contextvars
import sys

import pytest

from roost_broker.usage import SHARED_BY, usage


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_each_of_several_roles_of_a_process_tells_an_even_share() -> None:
    def shared() -> int:
        SHARED_BY.set(4)
        return usage().memory_bytes

    whole = usage().memory_bytes
    share = contextvars.copy_context().run(shared)
    assert whole > 1_000_000
    assert abs(share * 4 - whole) < whole / 4  # it changes a little from one look to the next
