"""A sidecar's start and stop without the sidecar: `python -m tests.embedded_parent DATA_DIR`.

Prints the address, then each number after the server acknowledged its write; after SIGINT it says so and goes on
writing; on SIGTERM it stops the server and ends.
"""

import asyncio
import signal
import sys
from pathlib import Path

from redis.asyncio import Redis

from sidecar.adapters.data_dir import DataDirectory
from sidecar.adapters.embedded import EmbeddedValkey


def say(line: object) -> None:
    """Print at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def write(url: str, asked_to_stop: asyncio.Event) -> None:
    """Write and print 0, 1, 2, ... under keys of the same name."""
    number = 0
    async with Redis.from_url(url) as client:
        while not asked_to_stop.is_set():
            await client.set(str(number), "acknowledged")
            say(number)
            number += 1


async def main(path: Path) -> None:
    """Hold the directory, start the server, write until SIGTERM."""
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, asked_to_stop.set)
    loop.add_signal_handler(signal.SIGINT, say, "interrupted")
    directory = DataDirectory(path)
    await directory.acquire()
    valkey = EmbeddedValkey(directory)
    await valkey.start()
    say(valkey.url)
    await write(valkey.url, asked_to_stop)
    await valkey.stop()
    directory.release()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
