"""Memory, heat, power and the card: each failure as the kernel would tell it."""

from pathlib import Path

import pytest
from patients import PI, helps, patient

from roost_edge.doctor.board import power, temperature
from roost_edge.doctor.card import card
from roost_edge.doctor.memory import memory

THROTTLED = "/sys/devices/platform/soc/soc:firmware/get_throttled"
ZONE = "/sys/class/thermal/thermal_zone0/temp"


def meminfo(available_kb: int) -> dict[str, str]:
    return {
        "/proc/meminfo": f"MemTotal:  500000 kB\nMemAvailable:  {available_kb} kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"
    }


@pytest.mark.parametrize(("bits", "status", "found", "remedy"), [
    ("0", "ok", "never too little", ""),
    ("50005", "fail", "too little power now: its voltage is too low, it is throttled", "power supply"),
    ("50000", "warn", "has had too little power since it started", "power supply"),
    ("40004", "warn", "slower than it could be: it is throttled", "Cool it"),
    ("80000", "warn", "has been throttled since it started", "Cool it"),
    ("8", "warn", "near its limit of heat", "Cool it"),
])  # fmt: skip
def test_the_bits_of_a_pi_that_is_throttled_become_words(
    tmp_path: Path, bits: str, status: str, found: str, remedy: str
) -> None:
    device = patient(tmp_path, files={**PI, THROTTLED: f"{bits}\n"})
    assert helps(power(device), status, found, remedy)


def test_without_the_kernels_file_vcgencmd_is_asked_and_elsewhere_it_is_no_pi(tmp_path: Path) -> None:
    device = patient(tmp_path, files=PI, programs={"vcgencmd": "echo throttled=0x50005"})
    assert helps(power(device), "fail", "too little power", "power supply")
    (tmp_path / "programs" / "vcgencmd").unlink()
    assert helps(power(device), "skipped", "The firmware does not tell", "vcgencmd")
    (tmp_path / "root" / "proc" / "device-tree" / "model").unlink()
    assert helps(power(device), "skipped", "not a Raspberry Pi", "")


@pytest.mark.parametrize(("millis", "status"), [("45000", "ok"), ("81000", "warn"), ("86500", "fail")])
def test_a_hot_machine_needs_air(tmp_path: Path, millis: str, status: str) -> None:
    verdict = temperature(patient(tmp_path, files={ZONE: millis}))
    assert verdict.status == status
    assert ("air" in verdict.remedy) == (status != "ok")


def test_a_machine_without_a_sensor_is_not_examined(tmp_path: Path) -> None:
    assert helps(temperature(patient(tmp_path, files={ZONE: "no number"})), "skipped", "no temperature", "")


@pytest.mark.parametrize(("kb", "status"), [(300_000, "ok"), (45_000, "warn"), (15_000, "fail")])
def test_too_little_memory_asks_for_fewer_models(tmp_path: Path, kb: int, status: str) -> None:
    verdict = memory(patient(tmp_path, files=meminfo(kb)))
    assert verdict.status == status
    assert verdict.facts["freeMb"] == kb // 1024
    assert ("fewer models" in verdict.remedy) == (status != "ok")


def test_processes_that_the_kernel_killed_and_swap_on_a_card_are_told(tmp_path: Path) -> None:
    files = {**meminfo(300_000), **PI, "/proc/vmstat": "pgfault 7\noom_kill 2\n"}
    assert helps(memory(patient(tmp_path, files=files)), "warn", "has killed 2 processes", "journalctl -k")
    files["/proc/vmstat"] = "oom_kill 0\n"
    files["/proc/swaps"] = "Filename Type Size Used Priority\n/var/swap file 100 0 -2\n"
    assert helps(memory(patient(tmp_path, files=files)), "warn", "Swap lies on /var/swap", "zram")
    files["/proc/swaps"] = "Filename Type Size Used Priority\n/dev/zram0 partition 100 0 5\n"
    assert memory(patient(tmp_path, files=files)).status == "ok"


def test_a_kernel_that_tells_no_memory_is_not_judged(tmp_path: Path) -> None:
    assert memory(patient(tmp_path)).status == "skipped"


def test_a_card_without_complaints_is_well(tmp_path: Path) -> None:
    calm = {
        "/proc/self/mounts": "/dev/mmcblk0p2 / ext4 rw,noatime 0 0\n",
        "/sys/fs/ext4/mmcblk0p2/errors_count": "0\n",
        "/sys/block/mmcblk0/device/pre_eol_info": "0x01\n",
        "/dev/kmsg": "6,100,5000,-;mmcblk0: mmc0:aaaa SC16G 14.8 GiB\n6,101,5001,-;EXT4-fs (mmcblk0p2): mounted\n",
    }
    verdict = card(patient(tmp_path, files=calm))
    assert helps(verdict, "ok", "no complaint", "")
    assert verdict.facts["mount"] == "/"
    (tmp_path / "root/dev/kmsg").unlink()
    assert helps(card(patient(tmp_path)), "ok", "may not read the kernel's log", "")


@pytest.mark.parametrize(("file", "text", "status", "found"), [
    ("/proc/self/mounts", "/dev/mmcblk0p2 / ext4 ro,noatime 0 0\n", "fail", "is mounted read-only"),
    ("/sys/fs/ext4/mmcblk0p3/errors_count", "7\n", "fail", "mmcblk0p3 has counted 7 errors"),
    ("/sys/block/mmcblk0/device/pre_eol_info", "0x03\n", "warn", "mmcblk0 is nearly worn out"),
    ("/dev/kmsg", "3,900,1,-;I/O error, dev mmcblk0, sector 81920 op 0x1:(WRITE)\n", "fail", "complained 1 times"),
    ("/dev/kmsg", "3,9,1,-;mmc0: error -110 whilst initialising SD card\n", "warn", "mmc0: error -110"),
    ("/dev/kmsg", "2,9,1,-;EXT4-fs error (device mmcblk0p2): ext4_find_entry:1683\n", "fail", "EXT4-fs error"),
])  # fmt: skip
def test_a_dying_card_is_to_be_replaced(tmp_path: Path, file: str, text: str, status: str, found: str) -> None:
    assert helps(card(patient(tmp_path, files={file: text})), status, found, "replace the card")
