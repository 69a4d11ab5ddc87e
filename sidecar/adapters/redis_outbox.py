"""The outbox: timeline events on their way from Redis into the history."""

from collections.abc import Sequence
from typing import Any

from sidecar.adapters import keys
from sidecar.adapters.codec import decode_event
from sidecar.adapters.keys import ProjectKeys
from sidecar.adapters.redis_link import RedisLink
from sidecar.history import Backlogged, Line, Standing
from sidecar.ports import Cursor

ENTRIES_SAMPLED = 20
"""Of which the server takes the mean size of a stream's entries."""


class RedisOutbox:
    """`Outbox` over the streams that the scripts append to."""

    def __init__(self, link: RedisLink) -> None:
        """Keep the link."""
        self._link = link

    async def standings(self) -> dict[str, Standing]:
        """Return where every project stands, in two round trips."""
        projects, answers = await self._ask_all(
            lambda pipe, place: (
                pipe.hmget(place.index("rev"), ["epoch", "rev", "run", "restored"]),
                pipe.xrevrange(place.index("outbox"), count=1),
            )
        )
        return {
            project: Standing(
                Cursor((epoch or b"").decode(), int(rev or 0)),
                last[0][0].decode() if last else "",
                is_whole=run == restored,
            )
            for project, (epoch, rev, run, restored), last in zip(projects, answers[::2], answers[1::2], strict=True)
        }

    async def waiting(self, project: str, position: str, limit: int) -> list[Line]:
        """Return what came after the position, oldest first."""
        start = f"({position}" if position else "-"
        async with self._link.deadline():
            outbox = ProjectKeys(project).index("outbox")
            entries = await self._link.commands.xrange(outbox, start, "+", limit)
        return [Line(place.decode(), entry[b"job"].decode(), decode_event(entry[b"event"])) for place, entry in entries]

    async def trim(self, project: str, position: str) -> None:
        """Forget what is recorded."""
        milliseconds, _, number = position.partition("-")
        async with self._link.deadline():
            least = f"{milliseconds}-{int(number) + 1}"
            await self._link.commands.xtrim(ProjectKeys(project).index("outbox"), minid=least, approximate=False)

    async def backlog(self) -> Backlogged:
        """Return how much waits, in two round trips."""
        _, answers = await self._ask_all(
            lambda pipe, place: (
                pipe.xlen(place.index("outbox")),
                pipe.memory_usage(place.index("outbox"), samples=ENTRIES_SAMPLED),
                pipe.xrange(place.index("outbox"), count=1),
            )
        )
        waiting = [(lines, size or 0, first) for lines, size, first in _threes(answers) if lines]
        oldest = [int(first[0][0].partition(b"-")[0]) / 1000 for _, _, first in waiting if first]
        return Backlogged(
            sum(lines for lines, _, _ in waiting), sum(size for _, size, _ in waiting), min(oldest, default=None)
        )

    async def _ask_all(self, ask: Any) -> tuple[list[str], list[Any]]:
        async with self._link.deadline():
            projects = sorted(project.decode() for project in await self._link.commands.smembers(keys.PROJECTS))
            async with self._link.commands.pipeline(transaction=False) as pipe:
                for project in projects:
                    ask(pipe, ProjectKeys(project))
                return projects, await pipe.execute()


def _threes(answers: Sequence[Any]) -> list[tuple[Any, Any, Any]]:
    return list(zip(answers[::3], answers[1::3], answers[2::3], strict=True))
