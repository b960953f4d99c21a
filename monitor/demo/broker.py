"""The demo's own broker: amqtt on a loopback port, in a process of its own. For the demo only."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
from multiprocessing.process import BaseProcess
from typing import Final

HOST: Final = "127.0.0.1"


def leave_with_parent() -> None:
    """Leave Ctrl-C to the process that started this one, and end when that one is gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(0)


def serve(port: int) -> None:
    """Serve until SIGTERM; Ctrl-C at the terminal is for the parent, which ends this process."""
    leave_with_parent()
    logging.disable(logging.CRITICAL)
    asyncio.run(_serve(port))


async def _serve(port: int) -> None:
    from amqtt.broker import Broker

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    await stop.wait()
    await broker.shutdown()
