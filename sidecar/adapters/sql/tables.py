"""The tables, one schema for SQLite and PostgreSQL; `migrations/` makes them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

TABLES = MetaData()

PROJECTS = Table(
    "projects",
    TABLES,
    Column("project", Text, primary_key=True),
    Column("epoch", Text, nullable=False),
    Column("rev", BigInteger, nullable=False),
)
"""The order of changes in SQL, project by project: what a cursor is made of while SQL serves. Whoever changes a job
locks the row of its project first, so that the changes of one project come one after another."""

JOBS = Table(
    "jobs",
    TABLES,
    Column("job_id", Text, primary_key=True),
    Column("project", Text, nullable=False),
    Column("job_type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("parent_id", Text),
    Column("created_at", Float(53), nullable=False),
    Column("started_at", Float(53)),
    Column("updated_at", Float(53), nullable=False),
    Column("finished_at", Float(53)),
    Column("version", BigInteger, nullable=False),
    Column("rev", BigInteger, nullable=False),
    Column("copied_epoch", Text, nullable=False),
    Column("copied_rev", BigInteger, nullable=False),
    Column("is_ahead", Boolean, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("halfway_seconds", Float(53)),
    Column("progress_at", Float(53)),
    Column("stall_reason", Text),
    Column("stalled_since", Float(53)),
    Column("opened_at", Float(53)),
    Column("waited_seconds", Float(53)),
    Index("jobs_by_creation", "created_at", "job_id"),
    Index("jobs_by_update", "updated_at", "job_id"),
    Index("jobs_of_project_by_creation", "project", "created_at", "job_id"),
    Index("jobs_of_project_by_update", "project", "updated_at", "job_id"),
    Index("jobs_of_project_by_rev", "project", "rev"),
    Index("jobs_by_end", "finished_at"),
    Index("jobs_by_parent", "parent_id"),
    Index("jobs_by_status", "status", "created_at", "job_id"),
    Index("jobs_by_type", "job_type", "created_at", "job_id"),
    Index("jobs_by_success", "job_type", "status", "finished_at"),
    Index("jobs_by_progress", "finished_at", "progress_at"),
    Index(
        "jobs_stalled",
        "stalled_since",
        sqlite_where=text("stall_reason IS NOT NULL"),
        postgresql_where=text("stall_reason IS NOT NULL"),
    ),
    Index("jobs_ahead", "is_ahead", sqlite_where=text("is_ahead"), postgresql_where=text("is_ahead")),
)
"""Every job: its whole document, and what it is looked for by. `rev` is its place in the order of its project here.

`copied_epoch` and `copied_rev` name the place in Redis' order of which the row is an exact copy ("" if it is none);
`is_ahead` tells that the row has something that Redis has yet to be told. `halfway_seconds` is how long it took until
half of the job was done, `progress_at` when it last got on, `stalled_since` since when the clock runs by which it is
stuck, `opened_at` since when it waits to begin, if it does, `waited_seconds` for how long it was paused or blocked.
"""

TOMBSTONES = Table(
    "tombstones",
    TABLES,
    Column("job_id", Text, primary_key=True),
    Column("project", Text, nullable=False),
    Column("rev", BigInteger, nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("deleted_at", Float(53), nullable=False),
    Column("is_ahead", Boolean, nullable=False),
    Index("tombstones_of_project_by_rev", "project", "rev"),
    Index("tombstones_by_deletion", "deleted_at"),
    Index("tombstones_ahead", "is_ahead", sqlite_where=text("is_ahead"), postgresql_where=text("is_ahead")),
)
"""Deleted jobs; `is_ahead` until Redis has been told. `created_at` tells a later job of that id.

A later job does not remove it: what Redis, or a sidecar, still has of the deleted one is nothing of the later one.
`rev` is `OF_REDIS` if Redis itself took the deletion, and `UNRECORDED` until its line in the outbox is recorded.
"""

OF_REDIS = 0
"""In the place of a rev: no change in SQL's order. Redis' own order tells which lines are of the deleted job."""

UNRECORDED = -1
"""The same, while what is recorded may have been read before the deletion."""

TIMELINE = Table(
    "timeline",
    TABLES,
    Column("job_id", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("at", Float(53), nullable=False),
    Column("attempt", BigInteger, nullable=False),
    Column("details", Text, nullable=False),
    UniqueConstraint("job_id", "event_id", name="timeline_event"),
)

ATTEMPTS = Table(
    "attempts",
    TABLES,
    Column("job_id", Text, primary_key=True),
    Column("attempt", BigInteger, primary_key=True),
    Column("summary", Text, nullable=False),
)
"""What each attempt had reached, as the JSON object that the API shows."""

STAGES = Table(
    "stage_durations",
    TABLES,
    Column("job_id", Text, primary_key=True),
    Column("attempt", BigInteger, primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("project", Text, nullable=False),
    Column("job_type", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("seconds", Float(53), nullable=False),
    Column("finished_at", Float(53), nullable=False),
    Index("stage_durations_by_type", "job_type", "stage", "finished_at"),
)

RECORDED = Table(
    "recorded",
    TABLES,
    Column("project", Text, primary_key=True),
    Column("position", Text, nullable=False),
    Column("epoch", Text, nullable=False, server_default=""),
    Column("rev", BigInteger, nullable=False, server_default="0"),
)
"""Up to where each project is recorded: the outbox's position ("" for its beginning), and the place in Redis' order."""

WATCH = Table(
    "watch",
    TABLES,
    Column("name", Text, primary_key=True),
    Column("evaluated_at", Float(53), nullable=False),
    Column("settling_since", Float(53), nullable=False),
    Column("settling_until", Float(53), nullable=False),
)
"""When jobs were last looked at, and since when and until when things settle (Unix seconds): one row."""
