"""Ports of 127.0.0.1 for servers that come and go."""

import random
import socket
from pathlib import Path

FIRST = 10_000
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
TRIES = 1_000


def free_port() -> int:
    """Return a port on which nobody listens now, and which no client is ever given.

    While a server is away the system may give an ephemeral port of its to any client; one that tries to reach that very
    port can even end up connected to itself. The server could not come back then.
    """
    source = random.SystemRandom()
    for _ in range(TRIES):
        port = source.randrange(FIRST, int(EPHEMERAL.read_text(encoding="ascii").split()[0]))
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("every port is taken")
