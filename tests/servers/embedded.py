from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sidecar.adapters.data_dir import DataDirectory
from sidecar.adapters.embedded import EmbeddedValkey


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[EmbeddedValkey]:
    """Run a Valkey as the sidecar does that is given no Redis; it may be stopped and started inside."""
    directory = DataDirectory(folder)
    await directory.acquire()
    valkey = EmbeddedValkey(directory)
    try:
        await valkey.start()
        yield valkey
    finally:
        await valkey.stop()
        directory.release()
