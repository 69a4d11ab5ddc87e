"""The outbox: timeline events on their way from Redis into the history."""

from sidecar.adapters import keys
from sidecar.adapters.codec import decode_event
from sidecar.adapters.keys import ProjectKeys
from sidecar.adapters.redis_link import RedisLink
from sidecar.ports import Line


class RedisOutbox:
    """`Outbox` over the streams that the scripts append to."""

    def __init__(self, link: RedisLink) -> None:
        """Keep the link."""
        self._link = link

    async def projects(self) -> list[str]:
        """Return every project that may have something waiting."""
        async with self._link.deadline():
            return sorted(project.decode() for project in await self._link.commands.smembers(keys.PROJECTS))

    async def waiting(self, project: str, position: str | None, limit: int) -> list[Line]:
        """Return what came after the position, oldest first."""
        start = "-" if position is None else f"({position}"
        async with self._link.deadline():
            outbox = ProjectKeys(project).index("outbox")
            entries = await self._link.commands.xrange(outbox, start, "+", limit)
        return [Line(place.decode(), entry[b"job"].decode(), decode_event(entry[b"event"])) for place, entry in entries]
