"""The demo's own broker: amqtt on a loopback port, in a process of its own. For the demo only."""

from __future__ import annotations

import asyncio
import logging
import signal

HOST = "127.0.0.1"


def serve(port: int) -> None:
    """Serve until SIGTERM; Ctrl-C at the terminal is for the parent, which ends this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
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
