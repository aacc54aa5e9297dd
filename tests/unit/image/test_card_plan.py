"""How a card's room is shared out at the first boot."""

from typing import Any

import pytest

from roost_broker.errors import Misuse, PeerError
from roost_provisioning.image.device.card_plan import ALIGN, DATA_LEAST, MAX_SECTORS, ROOT_WANTED, share_out

MIB = 1024**2 // 512
GIB = 1024 * MIB
ROOT_START = 260 * MIB


def said(root_size: int = 1272 * MIB, *further: dict[str, Any], label: str = "dos") -> dict[str, Any]:
    parts = [
        {"node": "/dev/mmcblk0p1", "start": 4 * MIB, "size": 256 * MIB, "type": "c", "bootable": True},
        {"node": "/dev/mmcblk0p2", "start": ROOT_START, "size": root_size, "type": "83"},
    ]
    return {"partitiontable": {"label": label, "id": "0x0edd0001", "partitions": [*parts, *further]}}


def lines(script: str) -> list[dict[str, int]]:
    rows = [line for line in script.splitlines() if line.startswith("start=")]
    return [
        {
            key: int(value)
            for key, value in (word.split("=") for word in row.split(", ") if "=" in word)
            if key != "type"
        }
        for row in rows
    ]


@pytest.mark.parametrize("total", [2 * GIB, 4 * GIB, 8 * GIB, 32 * GIB, 32 * GIB - 12345, 256 * GIB])
def test_the_root_grows_and_the_data_partition_takes_the_rest(total: int) -> None:
    share = share_out(said(), total)
    boot, root, data = lines(share.script)
    assert boot == {"start": 4 * MIB, "size": 256 * MIB}
    assert root["start"] == ROOT_START
    assert root["size"] >= 1272 * MIB
    assert root["size"] <= ROOT_WANTED + ALIGN
    assert data["start"] == root["start"] + root["size"]
    assert data["start"] % ALIGN == 0
    assert data["size"] >= DATA_LEAST
    assert total - 2 * ALIGN < data["start"] + data["size"] <= total


def test_a_small_card_is_shared_in_halves() -> None:
    _, root, data = lines(share_out(said(), 4 * GIB).script)
    assert abs(root["size"] - data["size"]) <= 2 * ALIGN


def test_a_root_that_is_larger_already_does_not_shrink() -> None:
    _, root, _ = lines(share_out(said(6 * GIB), 7 * GIB).script)
    assert root["size"] >= 6 * GIB


def test_a_card_that_is_shared_out_already_is_left_alone() -> None:
    third = {"node": "/dev/mmcblk0p3", "start": 8 * GIB, "size": GIB, "type": "83"}
    assert share_out(said(1272 * MIB, third), 32 * GIB).script == ""


def test_what_lies_beyond_the_tables_reach_stays_unused() -> None:
    _, _, data = lines(share_out(said(), 3 * 1024 * GIB).script)
    assert data["start"] + data["size"] <= MAX_SECTORS


def test_a_card_without_room_for_data_says_how_large_one_must_be() -> None:
    with pytest.raises(Misuse, match="4 GB or more"):
        share_out(said(), ROOT_START + 1272 * MIB + DATA_LEAST // 2)


@pytest.mark.parametrize("table", [{}, said(label="gpt"), {"partitiontable": {"label": "dos", "partitions": []}}])
def test_a_table_that_is_no_images_is_not_touched(table: dict[str, Any]) -> None:
    with pytest.raises(PeerError, match="Nothing was changed"):
        share_out(table, 32 * GIB)
