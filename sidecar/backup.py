"""`sidecar export` and `sidecar import`: all jobs and timelines as lines of JSON, and back."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from itertools import islice
from typing import Any

from prometheus_client import CollectorRegistry

from sidecar.adapters.metrics.prometheus import PrometheusMetrics
from sidecar.adapters.sql.backup import SqlBackup, head, job_line, parsed
from sidecar.background.ahead import tell_ahead
from sidecar.settings import Settings
from sidecar.storage import opened

LINES_A_TURN = 500


async def exported(settings: Settings) -> AsyncGenerator[bytes, None]:
    """Yield the lines of an export, some at a time; raises `StartError` or `StoreUnavailable`."""
    async with opened(settings, PrometheusMetrics(CollectorRegistry())) as storage:
        storage.redis_breaker.check()
        await storage.recorder.record_all()  # up to where everything stands now: who goes on pushing is not waited for
        backup = SqlBackup(storage.database)
        yield head()
        async for jobs in backup.jobs():
            live = [await storage.stores.live.get(job.job_id) for job in jobs]
            shown = zip(jobs, live, strict=True)
            yield b"".join(job_line(job if stored is None else stored.view.job) for job, stored in shown)
        async for lines in backup.others():
            yield lines


async def imported(settings: Settings, lines: Iterable[bytes]) -> int:
    """Join the lines of an export into what is there, and return how many jobs that were.

    Raises `BadExport`, `StartError` or `StoreUnavailable`.
    """
    count = 0
    numbered = (parsed(line, number) for number, line in enumerate(lines, 1))
    async with opened(settings, PrometheusMetrics(CollectorRegistry())) as storage:
        backup = SqlBackup(storage.database)
        next(numbered, None)
        while some := list(islice(numbered, LINES_A_TURN)):
            await backup.put(some)
            count += sum(_is_job(line) for line in some)
        while await tell_ahead(storage.archive, storage.stores.live, storage.stores.clock):
            continue
    return count


def _is_job(line: Mapping[str, Any]) -> bool:
    return bool(line["kind"] == "job")
