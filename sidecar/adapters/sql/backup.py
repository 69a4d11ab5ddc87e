"""All that SQL keeps as lines of JSON, and back: what `sidecar export` writes and `sidecar import` reads.

The first line names the format. Then come the tables, each in the order of its keys: jobs (the stored document as
text), timeline events, attempts and stage durations.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import Table, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.adapters.codec import decode_job, encode_job
from sidecar.adapters.sql.archive import RECORD_SECONDS
from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.rows import Row, event_of, job_row
from sidecar.adapters.sql.tables import ATTEMPTS, JOBS, STAGES, TIMELINE
from sidecar.adapters.sql.writes import append_lines, lock_projects, move_projects, store_jobs, upsert
from sidecar.core.errors import SidecarError
from sidecar.core.job import Job
from sidecar.core.merge import fork, united
from sidecar.core.view import View, view

FORMAT = 1
HEAD: dict[str, object] = {"kind": "progress-sidecar export", "format": FORMAT}
ROWS_A_TURN = 500

TABLES: Mapping[str, Table] = {"event": TIMELINE, "attempt": ATTEMPTS, "stage": STAGES}


class BadExport(SidecarError):
    """What is to be imported is no export that this release can read; the text names the line."""


class SqlBackup:
    """Reads everything out of SQL, and puts it in."""

    def __init__(self, database: Database) -> None:
        """Keep the database."""
        self._database = database

    async def jobs(self) -> AsyncIterator[list[Job]]:
        """Yield all jobs, some at a time, by id."""
        async for rows in self._rows(JOBS):
            yield [decode_job(row.document) for row in rows]

    async def others(self) -> AsyncIterator[bytes]:
        """Yield the lines of everything but the jobs."""
        for kind, table in TABLES.items():
            async for rows in self._rows(table):
                yield b"".join(_line({"kind": kind, **row._mapping}) for row in rows)  # noqa: SLF001 - public, in spite of its name

    async def put(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Join lines in, all or nothing; what is there already stays."""
        by_kind: dict[str, list[Row]] = {"job": [], **{kind: [] for kind in TABLES}}
        for line in lines:
            by_kind[line["kind"]].append({name: value for name, value in line.items() if name != "kind"})
        async with self._database.writing(RECORD_SECONDS) as connection:
            await _join(connection, [decode_job(row["document"].encode()) for row in by_kind["job"]])
            events = [(row["job_id"], event_of(_Attributes(row))) for row in by_kind["event"]]
            await append_lines(connection, events)
            await upsert(connection, ATTEMPTS, by_kind["attempt"])
            await upsert(connection, STAGES, by_kind["stage"])

    async def _rows(self, table: Table) -> AsyncIterator[Sequence[Any]]:
        """Yield the rows of a table in the order of its key, each page in a transaction of its own."""
        keys = list(table.primary_key)
        asked = select(table).order_by(*keys).limit(ROWS_A_TURN)
        page = asked
        while True:
            async with self._database.reading() as connection:
                rows = (await connection.execute(page)).all()
            if rows:
                yield rows
            if len(rows) < ROWS_A_TURN:
                return
            page = asked.where(tuple_(*keys) > tuple_(*(getattr(rows[-1], key.name) for key in keys)))


def job_line(job: Job) -> bytes:
    """Return the line of a job; no store owns it."""
    return _line({"kind": "job", "job_id": job.job_id, "document": encode_job(fork(job, "")).decode()})


def head() -> bytes:
    """Return the first line."""
    return _line(HEAD)


def parsed(line: bytes, number: int) -> Mapping[str, Any]:
    """Return what a line says. Raises `BadExport`."""
    try:
        found = from_json(line)
    except ValueError as error:
        raise BadExport(f"line {number}: is not JSON") from error
    if number == 1:
        if found != HEAD:
            raise BadExport(f"line 1: is not the head of an export in format {FORMAT}")
    elif not isinstance(found, dict) or found.get("kind") not in {"job", *TABLES}:
        raise BadExport(f"line {number}: is of no kind that belongs in an export")
    return dict(found)


async def _join(connection: AsyncConnection, jobs: Sequence[Job]) -> None:
    """Join jobs into what is there; Redis is told of the unfinished ones."""
    orders = await lock_projects(connection, [job.project for job in jobs])
    mine = select(JOBS.c.job_id, JOBS.c.document).where(JOBS.c.job_id.in_([job.job_id for job in jobs]))
    known = {row.job_id: decode_job(row.document) for row in await connection.execute(mine)}
    rows: list[tuple[View, Row]] = []
    for job in jobs:
        there = known.get(job.job_id)
        shown = united(None if there is None else view(there), job, job.updated_at).view
        if shown.job is not there:
            is_ahead = there is not None or not shown.is_finished
            rows.append((shown, job_row(shown, orders[job.project].next(), is_ahead=is_ahead)))
    await store_jobs(connection, rows)
    await move_projects(connection, orders)


class _Attributes:
    """Gives the values of a row as attributes."""

    def __init__(self, row: Row) -> None:
        self.__dict__.update(row)


def _line(value: Mapping[str, object]) -> bytes:
    return to_json(dict(value)) + b"\n"
