"""What keeps a connection alive that carries many watches, or none at the moment."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from sidecar.http.services import Services
from sidecar.http.streams import Stream
from sidecar.http.watch.client import Client
from sidecar.hub.watcher import Watcher
from sidecar.tasks import all_ended


class Watch(Protocol):
    """What is said on a stream."""

    async def run(self) -> None:
        """Say it from beginning to end; `EndedError` or `ConnectionError` end it before."""
        ...


class Pulsing:
    """A watch of many, with a pulse beside it."""

    def __init__(self, services: Services, watch: Watch, client: Client, stream: Stream) -> None:
        """Keep the parts; `run` does the work."""
        self._services = services
        self._watch = watch
        self._client = client
        self._stream = stream

    async def run(self) -> None:
        """Let the watch say what it says, and the pulse that we live."""
        await beside_pulse(self._watch.run(), self._services, self._client, self._stream)


async def beside_pulse(work: Coroutine[Any, Any, None], services: Services, client: Client, stream: Stream) -> None:
    """Do some work; meanwhile ping the client when nothing is said, notice when it has gone, tell which store serves.

    Raises what the work raises, or `EndedError`.
    """
    watcher = Watcher(client.pulse, client, ends_with_job=False)
    stream.on_end(watcher.end)
    services.hub.attend(watcher)
    tasks = [
        asyncio.create_task(work, name="watches-of-a-client"),
        asyncio.create_task(watcher.follow(), name="pulse-of-a-client"),
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        await all_ended(tasks)
        services.hub.dismiss(watcher)
        stream.forget(watcher.end)
