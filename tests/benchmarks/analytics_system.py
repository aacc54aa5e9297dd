"""What the package weighs: import time and memory of all of it, with numpy alone (G18)."""

import importlib.util
import json
import pkgutil
import subprocess
import sys
import textwrap
from typing import Any

from analytics_figures import Figure

import roost_rendezvous.analytics as package

_HEAVY = ("scipy", "pandas", "sklearn", "matplotlib", "tensorflow", "pyarrow", "roost_models", "roost_edge")
_CHILD = """
import importlib, json, resource, sys, time
started, broken = time.perf_counter(), []
for name in {names!r}:
    try:
        importlib.import_module(name)
    except Exception:
        broken.append(name)
took = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
rss = next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmRSS"))
print(json.dumps([took, rss, peak, sorted({{name.split(".")[0] for name in sys.modules}} & set({heavy!r})), broken]))
"""


def measure(quick: bool) -> list[Figure]:
    """See the module."""
    times = 3 if quick else 7
    modules = [package.__name__]
    modules += [one.name for one in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
    ours = [_imported(modules) for _ in range(times)]
    numpy = [_imported(["numpy"]) for _ in range(times)]
    took, rss, heavy, broken = min(one[0] for one in ours), max(one[1] for one in ours), *ours[0][3:]
    beside = f"numpy alone {min(one[0] for one in numpy):.2f} s, {max(one[1] for one in numpy):.0f} MB"
    if importlib.util.find_spec("river") is not None:
        river = [_imported(["river.drift"]) for _ in range(times)]
        beside += f"; river.drift {min(one[0] for one in river):.2f} s, {max(one[1] for one in river):.0f} MB"
    else:
        beside += "; river is not installed here"
    return [
        Figure(
            "G18 import",
            "import ≤ 0.5 s and ≤ 60 MB RSS, numpy alone",
            f"{took:.2f} s, {rss:.0f} MB RSS; heavy packages: {', '.join(heavy) or 'none'}"
            + (f"; NOT IMPORTED: {', '.join(broken)}" if broken else ""),
            took <= 0.5 and rss <= 60 and not heavy and not broken,
            beside,
            f"all {len(modules)} modules of the package in a fresh process, best time and largest RSS of {times}",
        )
    ]


def _imported(names: list[str]) -> Any:
    text = textwrap.dedent(_CHILD).format(names=names, heavy=_HEAVY)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)
