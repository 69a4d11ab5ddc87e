"""A job that is deleted, and what comes after it: another of its id, or itself once more."""

from typing import Any

from sidecar.adapters.failover.fallback import FallbackStore
from sidecar.adapters.sql.backup import SqlBackup, job_line, parsed
from sidecar.background.ahead import tell_ahead
from sidecar.core.job import Job, Status
from sidecar.storage import Storage
from tests.adapters.updates import NOON, push, update


async def pushed_old(store: FallbackStore, **fields: Any) -> None:
    """Push a job of two attempts, which is to be deleted."""
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5, metadata={"old": 1})))
    await store.update("job-1", push(update(writer="w", seq=1, attempt=2, add_current=5, **fields), NOON + 5))


async def pushed_new(store: FallbackStore) -> None:
    await store.update("job-1", push(update(writer="w", seq=2, add_current=1, metadata={"new": 1}), NOON + 20))


async def assert_is_new_alone(storage: Storage) -> None:
    """Find the job that began anew in both stores, and nothing of the deleted one."""
    for recorded in range(2):
        for stored in (await storage.stores.live.get("job-1"), await storage.stores.sql.get("job-1")):
            assert stored is not None
            shown = stored.view
            assert (shown.current, shown.status, shown.job.created_at) == (1, Status.RUNNING, NOON + 20), recorded
            assert shown.job.metadata.keys() == {"new"}
        events = await storage.history.timeline("job-1", 0, 100)
        assert [(event.type, event.at) for event in events[:2]] == [("created", NOON + 20), ("started", NOON + 20)]
        assert all(event.at >= NOON + 20 and event.type != "completed" for event in events)
        assert [each["attempt"] for each in await storage.history.attempts("job-1")] == [1]
        await storage.recorder.record_all()
    assert await storage.archive.ahead(10) == ([], [])


async def give_back(storage: Storage, job: Job) -> None:
    """Do what `sidecar import` does with a job."""
    await SqlBackup(storage.database).put([parsed(job_line(job), 2)])
    await tell_ahead(storage.archive, storage.stores.live, storage.stores.clock)
