from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.errors import Misuse
from roost_broker.messages import Input, Request
from roost_broker.topics import NodeTopics
from roost_models.scaffold.partition import MAX_REPLICAS, Partition, owner


def asked(number: int, **tags: str) -> Request:
    name = f"{number:032x}"
    return Request(
        timestamp=0, message_id=name, request_id=name, return_address="a", deadline_ms=1, input=Input(), tags=tags
    )


@given(replicas=st.integers(1, 8), tags=st.dictionaries(st.sampled_from(["camera", "door"]), st.text(max_size=9)))
def test_every_request_is_taken_by_exactly_one_replica(replicas: int, tags: dict[str, str]) -> None:
    takers = [n for n in range(1, replicas + 1) if Partition(n, replicas, "camera").takes(asked(7, **tags))]
    assert len(takers) == 1


def test_keys_are_spread_evenly_and_another_replica_moves_only_its_own_part_of_them() -> None:
    keys = [f"camera-{number}" for number in range(10_000)]
    before, after = ({key: owner(key, replicas) for key in keys} for replicas in (3, 4))
    assert all(abs(count - 3333) < 200 for count in Counter(before.values()).values())
    moved = [key for key in keys if before[key] != after[key]]
    assert all(after[key] == 4 for key in moved)
    assert abs(len(moved) - 2500) < 200


def test_a_request_without_the_tag_goes_by_its_own_id() -> None:
    takers = [n for number in range(40) for n in (1, 2) if Partition(n, 2, "camera").takes(asked(number))]
    assert len(takers) == 40
    assert 10 < takers.count(1) < 30


def test_without_a_key_replicas_share_one_subscription_and_a_single_process_has_its_own() -> None:
    topics = NodeTopics("coop-1").task("nest")
    assert Partition(2, 3).filter(topics, "champion") == "$share/champion/roost/coop-1/nest/input"
    assert Partition(2, 3, "camera").filter(topics, "champion") == topics.input
    assert Partition().filter(topics, "champion") == topics.input
    assert Partition(2, 3).takes(asked(1))
    assert [Partition(2, 3).shared, Partition(2, 3, "camera").shared, Partition().shared] == [True, False, False]


@pytest.mark.parametrize(("replica", "replicas"), [(3, 2), (-1, 2), (0, 0), (1, MAX_REPLICAS + 1)])
def test_a_replica_that_cannot_be_is_refused(replica: int, replicas: int) -> None:
    with pytest.raises(Misuse, match="no replica"):
        Partition(replica, replicas)
