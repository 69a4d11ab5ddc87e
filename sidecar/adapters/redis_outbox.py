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

    async def newest(self) -> dict[str, str]:
        """Return the position of the newest line of every project that has any, in two round trips."""
        async with self._link.deadline():
            projects = sorted(project.decode() for project in await self._link.commands.smembers(keys.PROJECTS))
            async with self._link.commands.pipeline(transaction=False) as pipe:
                for project in projects:
                    pipe.xrevrange(ProjectKeys(project).index("outbox"), count=1)
                found = await pipe.execute()
        return {project: last[0][0].decode() for project, last in zip(projects, found, strict=True) if last}

    async def waiting(self, project: str, position: str | None, limit: int) -> list[Line]:
        """Return what came after the position, oldest first."""
        start = "-" if position is None else f"({position}"
        async with self._link.deadline():
            outbox = ProjectKeys(project).index("outbox")
            entries = await self._link.commands.xrange(outbox, start, "+", limit)
        return [Line(place.decode(), entry[b"job"].decode(), decode_event(entry[b"event"])) for place, entry in entries]
