import subprocess
import sys

import pytest

HEAVY = ("typer", "rich", "numpy", "PIL", "cv2", "sqlite_utils", "cryptography", "nats", "tuf", "aiohttp")


@pytest.mark.parametrize(
    "modules",
    [
        ("roost_edge.desk.role", "roost_edge.desk.examination", "roost_edge.desk.about", "roost_edge.compose_desk"),
        ("roost_edge.doctor.__main__",),
    ],
    ids=["desk", "doctor"],
)
def test_the_desk_and_the_doctor_start_without_heavy_libraries(modules: tuple[str, ...]) -> None:
    code = f"import sys, {', '.join(modules)}\n"
    code += f"print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
