"""What the agent's process carries along all the time."""

import subprocess
import sys

import pytest

from roost_edge.ota.settings import BusySettings, OtaSettings

_MODULES = "role, line_shell, listening, task_schedules, registry_desk, trying, slot_processes, device_key"


def test_the_agent_imports_neither_numpy_nor_what_only_a_look_at_the_registry_needs() -> None:
    heavy = ("numpy", "tuf", "securesystemslib", "typer", "rich", "PIL")
    code = f"import sys, roost_edge.daemon\nfrom roost_edge.ota import {_MODULES}\n"
    code += f"print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_settings_make_the_bounds_of_a_line() -> None:
    policy = OtaSettings(registry="r", root="f", retry_s=7, busy=BusySettings(limit_s=60)).policy
    assert (policy.retry_first_ns, policy.defer_limit_ns) == (7_000_000_000, 60_000_000_000)
    assert [policy.wait(failures, 0.0) // 10**9 for failures in (1, 2, 3, 60)] == [7, 14, 28, 21_600]
    assert policy.wait(1, 1.0) == pytest.approx(3.5e9)
