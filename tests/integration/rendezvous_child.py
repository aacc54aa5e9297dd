"""A rendezvous server as a process of its own, for tests that kill it: PORT NODE TASK FOLDER SCHEDULE."""

import asyncio
import signal
import sys
from pathlib import Path

from roost_broker.clock import SystemClock
from roost_broker.mqtt import MqttBus
from roost_broker.presence import role_will
from roost_broker.sessions import next_session
from roost_broker.settings import BrokerSettings
from roost_broker.topics import NodeTopics
from roost_rendezvous import schedule
from roost_rendezvous.server.role import RendezvousServer


async def main(port: int, node: str, task: str, folder: Path, schedule_file: Path) -> None:
    clock = SystemClock()
    device = NodeTopics(node)
    session = next_session(folder / "session")
    role = f"rendezvous-{task}"
    bus = MqttBus(BrokerSettings(port=port), f"{node}-{role}", will=role_will(device, role, session, clock))
    server = RendezvousServer(
        bus,
        device.task(task),
        schedule.load(schedule_file),
        clock=clock,
        journal=folder / "journal",
        node=node,
        session=session,
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await server.run(stop)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]), Path(sys.argv[5])))
