"""Follows SQL, while it serves: what changes there is told by nobody, so it is asked for."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress

from sidecar.core.errors import StoreUnavailable
from sidecar.hub.broadcast import Broadcast
from sidecar.hub.catching_up import END_OF_TIME, tell_since
from sidecar.hub.channel import Channel
from sidecar.ports import Cursor, Feed

POLL_SECONDS = 1.0
"""How often SQL is asked what has changed, while it serves."""

LATELY_JOBS = 400
LATELY_SECONDS = 15.0
"""How far is looked back when SQL begins to serve: longer than Redis may hang before it counts as away."""


class Poller:
    """Asks SQL what has changed of the projects that are watched."""

    def __init__(self, feed: Feed, channels: Mapping[str, Channel]) -> None:
        """Keep what answers, and the channels of the hub by their projects."""
        self._feed = feed
        self._channels = channels

    async def follow(self) -> None:
        """Ask SQL now and then what has changed, and carry that; for ever, also while SQL is away too."""
        places: dict[str, Cursor] = {}
        while True:
            for project, channel in list(self._channels.items()):
                with suppress(StoreUnavailable):
                    places[project] = await self._poll(project, channel, places.get(project))
            await asyncio.sleep(POLL_SECONDS)

    async def _poll(self, project: str, channel: Channel, place: Cursor | None) -> Cursor:
        """Tell what SQL has taken after a place; return where it stands."""
        if place is None:
            now = await self._feed.since(project, END_OF_TIME, 1)
            place = Cursor(now.cursor.epoch, now.base)
            await self._tell_lately(project, channel, place)
        return await tell_since(self._feed, project, channel, place.rev)

    async def _tell_lately(self, project: str, channel: Channel, place: Cursor) -> None:
        """Tell what Redis took in its last moments and SQL had recorded by then, but the line did not come to tell."""
        missed = await self._feed.since(project, max(0, place.rev - LATELY_JOBS), LATELY_JOBS)
        since = time.time() - LATELY_SECONDS
        changes = [Broadcast.of(each) for each in missed.changes if each.cursor.rev <= place.rev]
        await channel.tell_whole([change for change in changes if (change.changed_at or 0.0) >= since])
