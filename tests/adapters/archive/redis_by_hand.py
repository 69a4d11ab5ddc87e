"""What Redis would have, made by hand."""

from sidecar.core import merge
from sidecar.core.job import Event, Job, Update
from sidecar.core.merge import fork
from sidecar.core.view import view
from sidecar.history import Batch, Line, Recorded
from sidecar.ports import Cursor, Gone, Stored
from tests.adapters.updates import NOON

REDIS, ANEW = "r1", "r2"


class Redis:
    """Jobs, their timeline lines and their places in one order."""

    def __init__(self, epoch: str = REDIS) -> None:
        self.epoch = epoch
        self.rev = 0
        self.jobs: dict[str, Job] = {}
        self.lines: list[Line] = []
        self.changes: dict[str, Stored | Gone] = {}

    def push(self, *updates: Update, now: float = NOON) -> Job:
        """Take updates, a second apart, and return the job of the last."""
        for number, given in enumerate(updates):
            job = self.jobs.get(given.job_id)
            self._took(merge.apply(job and fork(job, self.epoch), given, now + number))
        return self.jobs[updates[-1].job_id]

    def put(self, job: Job) -> None:
        """Have a job as it is, without any lines."""
        self.rev += 1
        self.jobs[job.job_id] = job
        self.changes[job.job_id] = Stored(view(job), Cursor(self.epoch, self.rev))

    def delete(self, job_id: str, now: float) -> None:
        """Delete a job as the live store does."""
        job = self.jobs.pop(job_id)
        number = job.event_count + 1
        told = Event(f"{job.lineage}/{number}", number, "deleted", now, 1, {"created_at": job.created_at})
        self.lines.append(self._line(job_id, told))
        self.rev += 1
        self.changes[job_id] = Gone(job_id, Cursor(self.epoch, self.rev))

    def taken(self) -> Batch:
        """Return what has happened since the last time."""
        changes = sorted(self.changes.values(), key=lambda change: change.cursor.rev)
        batch = Batch(tuple(self.lines), changes)
        self.lines, self.changes = [], {}
        return batch

    @property
    def recorded(self) -> Recorded:
        """Return where it stands."""
        return Recorded(Cursor(self.epoch, self.rev), f"{self.rev}-0")

    def _took(self, outcome: merge.Outcome) -> None:
        self.put(fork(outcome.job, self.epoch))
        self.lines += [self._line(outcome.job.job_id, event) for event in outcome.events]

    def _line(self, job_id: str, event: Event) -> Line:
        return Line(f"{self.rev + 1}-{len(self.lines)}", job_id, event)
