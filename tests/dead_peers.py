"""A sidecar whose clients' machines die, in a network of its own: run as a program, it prints when it has noticed.

Nothing is closed and nothing answers any more, as when a laptop is shut. In a namespace that takes only switching the
loopback interface off; the sidecar's own Valkey is reached by a Unix socket.
"""

import asyncio
import ctypes
import fcntl
import os
import socket
import struct
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from time import monotonic

from aiohttp import ClientSession

from sidecar.app import serving
from sidecar.settings import Settings
from tests.faults.patience import until

CLONE_NEWUSER, CLONE_NEWNET = 0x1000_0000, 0x4000_0000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
OF_EACH = 10
HEARTBEAT_SECONDS = 3.0
NOTICED_SECONDS = 60.0 - (15.0 - HEARTBEAT_SECONDS)
"""A minute with the heartbeat that is usual; with a shorter one there is less to wait for."""


def separate() -> None:
    """Move into a network of our own, which has a loopback interface and nothing else."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET):
        sys.exit(f"this system allows no network namespace: {os.strerror(ctypes.get_errno())}")


def switch_loopback(*, is_on: bool) -> None:
    """Bring the loopback interface up or down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        name, flags = struct.unpack("16sH", fcntl.ioctl(sock, SIOCGIFFLAGS, struct.pack("16sH22x", b"lo", 0))[:18])
        flags = flags | IFF_UP if is_on else flags & ~IFF_UP
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH22x", name, flags))


async def seconds_until_noticed(data_dir: Path) -> float:
    """Let clients of both transports watch, let their machine die, and wait until none of them counts as there."""
    settings = Settings(data_dir=data_dir, listen_port=0, heartbeat_seconds=HEARTBEAT_SECONDS)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(ClientSession())
        served = await stack.enter_async_context(serving(settings))
        for _ in range(OF_EACH):
            stream = await stack.enter_async_context(client.get(f"{served.url}/v1/events?project=default"))
            await stream.content.readuntil(b"event: synced")
            ws = await stack.enter_async_context(client.ws_connect(f"{served.url}/v1/ws"))
            await ws.send_json({"watch": {"project": "default"}})
            await ws.receive_json()
        assert served.streams.count == 2 * OF_EACH
        switch_loopback(is_on=False)
        began = monotonic()
        await until(lambda: served.streams.count == 0, NOTICED_SECONDS, "all of them are noticed")
        taken = monotonic() - began
        switch_loopback(is_on=True)
    return taken


if __name__ == "__main__":
    separate()
    switch_loopback(is_on=True)
    sys.stdout.write(f"{asyncio.run(seconds_until_noticed(Path(sys.argv[1]))):.1f}\n")
