"""P1, P6: a camera in the network, by a real RTSP server that goes away and comes back."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from capture_world import Device, Run

from roost_broker.private_process import free_port
from roost_edge.sources import CameraSettings, open_source

PYTHON = "/usr/bin/python3"
SERVER = Path(__file__).parent.parent / "rtsp_server_child.py"
ASKED = "import gi; gi.require_version('GstRtspServer', '1.0')"


@pytest.fixture(scope="module", autouse=True)
def gstreamer() -> None:
    found = subprocess.run([PYTHON, "-c", ASKED], capture_output=True, check=False) if Path(PYTHON).exists() else None
    if found is None or found.returncode != 0:
        pytest.skip(
            "There is no RTSP server: apt install python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good"
        )


@contextmanager
def serving(port: int) -> Iterator["subprocess.Popen[bytes]"]:
    server = subprocess.Popen(
        [PYTHON, str(SERVER), str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert server.stdout is not None
        assert int(server.stdout.readline()) == port
        yield server
    finally:
        server.kill()
        server.communicate()


def stream(port: int) -> CameraSettings:
    url = f"rtsp://127.0.0.1:{port}/nest"
    return CameraSettings(source="opencv", url=url, width=320, height=240, fps=10, read_timeout_ms=1_000)


def test_frames_come_by_rtsp_as_rgb() -> None:
    port = free_port()
    with serving(port):
        source = open_source(stream(port))
        source.open()
        frames = [source.read() for _ in range(5)]
        source.close()
    for frame in frames:
        assert frame is not None
        assert frame.image.shape == (240, 320, 3)
    assert len({frame.image.tobytes() for frame in frames if frame is not None}) > 1, "the ball moves"


def test_a_camera_in_the_network_that_goes_away_is_told_and_works_again_when_it_is_back(
    device: Device, run: Run
) -> None:
    port = free_port()
    settings = {"reopen_ms": 100, "reopen_tries": 1_000, "late_s": 2.0, "stall_s": 60.0}

    async def main() -> None:
        with serving(port) as server:
            async with device.others() as others, device.capture(stream(port), **settings) as running:
                await others.until(lambda: others.count("frames") > 5)
                assert others.state.state == "ready"
                server.kill()
                await others.until(lambda: others.state.state == "starting" and others.count("reopened") > 1)
                assert f"rtsp://127.0.0.1:{port}/nest" in others.state.detail
                assert "opened again" in others.state.detail
                before = others.count("frames")
                with serving(port):
                    await others.until(lambda: others.state.state == "ready" and others.count("frames") > before)
                    assert not running.done()

    run(main())
