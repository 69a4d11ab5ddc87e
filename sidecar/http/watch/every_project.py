"""The jobs of every project that a reader may see, watched on one connection. Nothing can be resumed."""

import asyncio
from contextlib import suppress

from sidecar.core.document import rfc3339
from sidecar.core.errors import Unavailable
from sidecar.http.services import Services
from sidecar.http.streams import Stream
from sidecar.http.watch.client import Client
from sidecar.http.watch.project import ProjectWatch, WantedJobs
from sidecar.tasks import all_ended
from sidecar.tracker import MayUse

MOST_PROJECTS = 1_000
"""Projects watched by one client; later ones, by name, are left out."""

LOOK_SECONDS = 1.0
"""How often new projects are looked for."""

OPENED = "*"
"""The id of the first word: a browser comes back with it, which tells that its ticket has opened this stream."""


class EveryProjectWatch:
    """A client that watches all projects: a watch of each, and a look for new ones now and then."""

    def __init__(self, services: Services, wanted: WantedJobs, may: MayUse, client: Client, stream: Stream) -> None:
        """Keep the parts; `run` does the work."""
        self._services = services
        self._wanted = wanted
        self._may = may
        self._client = client
        self._stream = stream
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._opening: list[ProjectWatch] = []

    async def run(self) -> None:
        """Say what is, then what changes, until `EndedError` or `ConnectionError` ends it."""
        await self._connect()
        try:
            while not await self._look():
                await self._stream.pause(LOOK_SECONDS)
            await self._sync()
            while True:
                await self._stream.pause(LOOK_SECONDS)
                await self._look()
        finally:
            await all_ended(self._watches.values())

    async def _connect(self) -> None:
        data = {
            **self._wanted.echo,
            "project": self._wanted.project,
            "recovered": False,
            "cursor": None,
            "server_time": rfc3339(self._services.clock()),
        }
        await self._client.say("connected", data, OPENED)

    async def _look(self) -> bool:
        """Watch the projects that are new; false if the store did not tell them. Raises what ended any watch."""
        for watch in self._watches.values():
            if watch.done():
                watch.result()
        with suppress(Unavailable):
            for project in (await self._services.watched.projects(self._may))[:MOST_PROJECTS]:
                if project not in self._watches:
                    self._watch(project)
            return True
        return False

    async def _sync(self) -> None:
        """Wait until all that was has been told, and say so."""
        for watch in self._opening:
            await watch.until_synced()
        self._opening.clear()
        await self._client.say("synced", {**self._wanted.echo, "cursor": None})

    def _watch(self, project: str) -> None:
        wanted = WantedJobs(project, self._wanted.selection, self._wanted.view, None)
        watch = ProjectWatch(self._services, wanted, self._client, self._stream, is_part=True)
        self._opening.append(watch)
        self._watches[project] = asyncio.create_task(watch.run(), name=f"watch-{project}")
