"""The jobs of every project that a reader may see, watched on one connection. Nothing can be resumed."""

import asyncio

from sidecar.core.document import rfc3339
from sidecar.core.errors import Unavailable
from sidecar.http.services import Services
from sidecar.http.streams import Stream
from sidecar.http.watch.client import Client
from sidecar.http.watch.project import ProjectWatch, WantedJobs
from sidecar.hub.watcher import Flock
from sidecar.tasks import all_ended, ended
from sidecar.tracker import MayUse

MOST_PROJECTS = 1_000
"""Projects watched by one client; later ones, by name, are left out."""

BEGINNINGS_AT_ONCE = 16
"""Projects of which one client is told the state at the same time."""

LOOK_SECONDS = 1.0
"""How often new projects are looked for."""

OPENED = "*"
"""The id of the first word: a browser comes back with it, which tells that its ticket has opened this stream."""


class EveryProjectWatch:
    """A client that watches all projects: a watch of each, all in one task, and a look for new ones now and then."""

    def __init__(self, services: Services, wanted: WantedJobs, may: MayUse, client: Client, stream: Stream) -> None:
        """Keep the parts; `run` does the work."""
        self._services = services
        self._wanted = wanted
        self._may = may
        self._client = client
        self._stream = stream
        self._watches: dict[str, ProjectWatch] = {}
        self._flock = Flock()

    async def run(self) -> None:
        """Say what is, then what changes, until `EndedError` or `ConnectionError` ends it."""
        await self._connect()
        following = asyncio.create_task(self._flock.follow(), name="watches-of-all-projects")
        try:
            while not await self._look():
                await self._stream.pause(LOOK_SECONDS)
            await self._client.say("synced", {**self._wanted.echo, "cursor": None})
            while not following.done():
                await self._stream.pause(LOOK_SECONDS)
                await self._look()
            following.result()
        finally:
            await ended(following)
            for watch in self._watches.values():
                await watch.end()

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
        """Begin to watch the projects that are new; false if the store did not tell them."""
        try:
            known = (await self._services.watched.projects(self._may))[:MOST_PROJECTS]
        except Unavailable:
            return False
        new = [project for project in known if project not in self._watches]
        for start in range(0, len(new), BEGINNINGS_AT_ONCE):
            beginning = [
                asyncio.create_task(self._begin(project), name=f"watch-{project}")
                for project in new[start : start + BEGINNINGS_AT_ONCE]
            ]
            try:
                await asyncio.gather(*beginning)
            finally:
                await all_ended(beginning)
        return True

    async def _begin(self, project: str) -> None:
        wanted = WantedJobs(project, self._wanted.selection, self._wanted.view, None)
        watch = self._watches[project] = ProjectWatch(self._services, wanted, self._client, self._stream, is_part=True)
        await watch.begin()
        self._flock.add(watch.watcher)
