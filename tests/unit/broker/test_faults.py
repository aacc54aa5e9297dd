import threading

import pytest

from roost_broker.errors import Misuse
from roost_broker.faults import Fault, InjectedFault


def test_faults_are_read_as_people_write_them() -> None:
    assert Fault.parse("slow:5000") == Fault("slow", 5000)
    for kind in ("hang", "error", "wrong", "drop"):
        assert Fault.parse(kind).kind == kind


@pytest.mark.parametrize("text", ["", "slow", "slow:", "slow:-1", "slow:x", "hang:3", "kill", "slow:9999999", "slow:٣"])
def test_what_is_no_fault_is_refused_with_the_list(text: str) -> None:
    with pytest.raises(Misuse):
        Fault.parse(text)


def test_a_hang_ends_when_the_scaffold_gives_up() -> None:
    stop = threading.Event()
    stop.set()
    Fault.parse("hang").before_evaluation(stop)
    Fault.parse("slow:600000").before_evaluation(stop)
    with pytest.raises(InjectedFault):
        Fault.parse("error").before_evaluation(stop)
