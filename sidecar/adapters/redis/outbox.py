"""The outbox: timeline events on their way from Redis into the history."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from redis.exceptions import ResponseError

from sidecar.adapters.codec import decode_event
from sidecar.adapters.redis import keys
from sidecar.adapters.redis.keys import PROJECTS_A_CALL, ProjectKeys
from sidecar.adapters.redis.link import RedisLink
from sidecar.core.errors import Unreadable
from sidecar.history import Backlogged, Line, Standing, UnreadLine
from sidecar.ports import Cursor

MOST_TAKEN_UP = 1_000
"""Lines of a project that are tried once more when a recorder begins."""

ALREADY_THERE = "equal or smaller"

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

    async def waiting(self, project: str, position: str, limit: int) -> list[Line | UnreadLine]:
        """Return what came after the position, oldest first."""
        start = f"({position}" if position else "-"
        async with self._link.deadline():
            outbox = ProjectKeys(project).index("outbox")
            entries = await self._link.commands.xrange(outbox, start, "+", limit)
            lines = [_line(place.decode(), entry) for place, entry in entries]
            if any(isinstance(line, UnreadLine) for line in lines):
                await self._keep_aside(project, dict(entries), lines)
        return lines

    async def _keep_aside(self, project: str, entries: Mapping[bytes, Any], lines: Sequence[Line | UnreadLine]) -> None:
        """Copy what cannot be read into a stream of its own, under the same number: so it is there once."""
        async with self._link.commands.pipeline(transaction=False) as pipe:
            for line in lines:
                if isinstance(line, UnreadLine):
                    number = line.position.encode()
                    pipe.xadd(ProjectKeys(project).index("unread"), entries[number], id=number)
            for answer in await pipe.execute(raise_on_error=False):
                if isinstance(answer, ResponseError) and ALREADY_THERE not in str(answer):
                    raise answer

    async def trim(self, project: str, position: str) -> None:
        """Forget what is recorded."""
        milliseconds, _, number = position.partition("-")
        async with self._link.deadline():
            least = f"{milliseconds}-{int(number) + 1}"
            await self._link.commands.xtrim(ProjectKeys(project).index("outbox"), minid=least, approximate=False)

    async def take_up(self) -> None:
        """Move what was kept aside back to the end of the outbox."""
        projects, found = await self._ask_all(
            lambda pipe, place: pipe.xrange(place.index("unread"), count=MOST_TAKEN_UP)
        )
        for project, entries in zip(projects, found, strict=True):
            place = ProjectKeys(project)
            if entries:
                async with self._link.deadline(), self._link.commands.pipeline(transaction=True) as pipe:
                    for _, stored in entries:
                        pipe.xadd(place.index("outbox"), stored)
                    pipe.xdel(place.index("unread"), *(number for number, _ in entries))
                    await pipe.execute()

    async def backlog(self, finished_before: float | None = None) -> Backlogged:
        """Return how much waits, in two round trips, or four if documents count."""
        _, answers = await self._ask_all(
            lambda pipe, place: (
                pipe.xlen(place.index("outbox")),
                pipe.memory_usage(place.index("outbox"), samples=ENTRIES_SAMPLED),
                pipe.xrange(place.index("outbox"), count=1),
            )
        )
        waiting = [(lines, size or 0, first) for lines, size, first in _threes(answers) if lines]
        oldest = [int(first[0][0].partition(b"-")[0]) / 1000 for _, _, first in waiting if first]
        size_bytes = sum(size for _, size, _ in waiting)
        if finished_before is not None:
            size_bytes += await self._document_bytes(finished_before)
        return Backlogged(sum(lines for lines, _, _ in waiting), size_bytes, min(oldest, default=None))

    async def _document_bytes(self, finished_before: float) -> int:
        """Return about how much memory the documents of finished jobs take: their number by the mean size of some."""
        projects, answers = await self._ask_all(
            lambda pipe, place: (
                pipe.zcount(place.index("finished"), "-inf", finished_before),
                pipe.zrange(
                    place.index("finished"), "-inf", finished_before, byscore=True, offset=0, num=ENTRIES_SAMPLED
                ),
            )
        )
        found = zip(projects, answers[::2], answers[1::2], strict=True)
        sampled = {project: (count, job_ids) for project, count, job_ids in found if job_ids}
        async with self._link.deadline(), self._link.commands.pipeline(transaction=False) as pipe:
            for project, (_, job_ids) in sampled.items():
                for job_id in job_ids:
                    pipe.memory_usage(ProjectKeys(project).job(job_id.decode()))
            sizes = iter(await pipe.execute() if sampled else ())
        means = (
            count * sum(size or 0 for size in islice(sizes, len(job_ids))) // len(job_ids)
            for count, job_ids in sampled.values()
        )
        return sum(means)

    async def _ask_all(self, ask: Any) -> tuple[list[str], list[Any]]:
        """Ask the same of every project, some hundreds in a round trip, each of which has a deadline of its own."""
        async with self._link.deadline():
            projects = sorted(project.decode() for project in await self._link.commands.smembers(keys.PROJECTS))
        answers: list[Any] = []
        for start in range(0, len(projects), PROJECTS_A_CALL):
            async with self._link.deadline(), self._link.commands.pipeline(transaction=False) as pipe:
                for project in projects[start : start + PROJECTS_A_CALL]:
                    ask(pipe, ProjectKeys(project))
                answers += await pipe.execute()
        return projects, answers


def _line(position: str, entry: Any) -> Line | UnreadLine:
    try:
        return Line(position, entry[b"job"].decode(), decode_event(entry[b"event"]))
    except (Unreadable, KeyError):
        return UnreadLine(position)


def _threes(answers: Sequence[Any]) -> list[tuple[Any, Any, Any]]:
    return list(zip(answers[::3], answers[1::3], answers[2::3], strict=True))
