import asyncio
import os
import signal

import pytest

from roost_edge.demo.endings import heard_by, raised


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_in_the_body_each_is_a_keyboard_interrupt_and_afterwards_what_it_was(number):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), raised():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_under_nohup_the_end_of_the_terminal_stays_unheard():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with raised():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("terminal_heard")
def test_a_loop_hears_every_one_of_them():
    async def scene():
        heard = asyncio.Event()
        loop = asyncio.get_running_loop()
        heard_by(loop, heard.set)
        for number in (signal.SIGINT, signal.SIGTERM):
            heard.clear()
            os.kill(os.getpid(), number)
            await heard.wait()
        return loop.remove_signal_handler(signal.SIGHUP)

    assert asyncio.run(scene())
