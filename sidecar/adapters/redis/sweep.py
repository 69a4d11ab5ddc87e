"""What leaves Redis in time: finished jobs that the history has, and old tombstones; and who has fallen silent."""

from collections.abc import Callable, Sequence

from sidecar.adapters.redis import keys
from sidecar.adapters.redis.documents import Held, count_field, read
from sidecar.adapters.redis.keys import ProjectKeys
from sidecar.adapters.redis.link import RedisLink, Script
from sidecar.core.job import Job
from sidecar.core.silence import calm_until


class RedisSweep:
    """`Sweep` over Redis."""

    def __init__(self, link: RedisLink, forgotten: Callable[[Sequence[str]], None]) -> None:
        """Keep the link; `forgotten` hears of the ids that have left."""
        self._link = link
        self._forgotten = forgotten
        self._expire = Script("expire.lua")
        self._bury = Script("bury.lua")

    async def finished(self, project: str, before: float, offset: int, limit: int) -> list[Job]:
        """Return jobs that finished before (Unix seconds), the earliest first, from the offset on."""
        return [held.job for held in await self._read(project, "finished", before, offset, limit)]

    async def silent(self, project: str, before: float, offset: int, limit: int) -> list[Job]:
        """Return unfinished jobs that made no progress since, from the offset on."""
        return [held.job for held in await self._read(project, "idle", before, offset, limit)]

    async def expire(self, project: str, jobs: Sequence[Job]) -> int:
        """Let jobs go that are still as they were read; return how many."""
        by_id = {job.job_id: job for job in jobs}
        async with self._link.deadline():
            found = await read(self._link, project, list(by_id))
            unchanged = [
                held for held in found if held is not None and held.job.version == by_id[held.job.job_id].version
            ]
            if not unchanged:
                return 0
            place = ProjectKeys(project)
            entries = [keys.project_of(held.job.job_id) for held in unchanged]
            await self._link.commands.delete(*entries)  # first: who comes meanwhile enters it again
            answers = await self._link.evaluate(
                self._expire,
                [*place.indexes(), *(place.job(held.job.job_id) for held in unchanged)],
                lambda _: [part for held in unchanged for part in (held.job.job_id, held.tag, count_field(held.view))],
            )
            gone = [held.job.job_id for held, answer in zip(unchanged, answers, strict=True) if answer]
            async with self._link.commands.pipeline(transaction=False) as pipe:
                for name, answer in zip(entries, answers, strict=True):
                    if not answer:  # it stayed, and its id is its own, unless somebody has entered that meanwhile
                        pipe.set(name, project, nx=True)
                await pipe.execute()
        self._forgotten(gone)
        return len(gone)

    async def listening(self, now: float, most_seconds: float) -> float:
        """Note that workers can be heard; see `Sweep`."""
        async with self._link.deadline():
            commands = self._link.commands
            last, settling = await commands.hmget(keys.RETENTION, ["listened", "settling"])
            until = calm_until(None if last is None else float(last), now, float(settling or 0.0), most_seconds)
            await commands.hset(keys.RETENTION, mapping={"listened": now, "settling": until})
        return until

    async def bury(self, project: str, now: float, recorded_rev: int) -> None:
        """Remove tombstones whose time has come and whose deletion is recorded."""
        place = ProjectKeys(project)
        async with self._link.deadline():
            names = [place.index(name) for name in ("rev", "changed", "gone")]
            await self._link.evaluate(self._bury, names, lambda _: (now, recorded_rev))

    async def _read(self, project: str, index: str, before: float, offset: int, limit: int) -> list[Held]:
        async with self._link.deadline():
            place = ProjectKeys(project)
            found = await self._link.commands.zrange(
                place.index(index), "-inf", before, byscore=True, offset=offset, num=limit
            )
            held = await read(self._link, project, [job_id.decode() for job_id in found]) if found else []
        return [each for each in held if each is not None]
