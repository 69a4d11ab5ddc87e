"""All that SQL keeps as lines of JSON, and back: what `sidecar export` writes and `sidecar import` reads.

The first line names the format. Then come the tables, each in the order of its keys: jobs (the stored document as
text), timeline events, attempts and stage durations.
"""

import json
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import Table, Text, collate, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.adapters.codec import decode_job, encode_job
from sidecar.adapters.sql.archive import RECORD_SECONDS
from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.rows import Row, event_of, job_row, text_of
from sidecar.adapters.sql.tables import ATTEMPTS, JOBS, STAGES, TIMELINE
from sidecar.adapters.sql.writes import append_lines, lock_projects, move_projects, store_jobs, upsert
from sidecar.core.changes import further
from sidecar.core.errors import SidecarError
from sidecar.core.job import Job, Json
from sidecar.core.merge import fork, united
from sidecar.core.view import View, view

FORMAT = 1
HEAD: dict[str, object] = {"kind": "progress-sidecar export", "format": FORMAT}
ROWS_A_TURN = 500

EXPORT_SECONDS = 6 * 3600.0
"""How long the reading of one table may take, however slow whoever takes the lines is."""

OF_JOBS = ("attempt", "stage")

Key = tuple[Any, ...]

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
        """Join lines in, all or nothing; what is there already stays, and of anything else what is the later.

        The lines of a job's attempts and stages come after its own.
        """
        by_kind: dict[str, list[Row]] = {"job": [], **{kind: [] for kind in TABLES}}
        for line in lines:
            by_kind[line["kind"]].append({name: value for name, value in line.items() if name != "kind"})
        async with self._database.writing(RECORD_SECONDS) as connection:
            await _join(connection, [decode_job(row["document"].encode()) for row in by_kind["job"]])
            events = [(row["job_id"], event_of(_Attributes(row))) for row in by_kind["event"]]
            touched = {row["job_id"] for kind in ("event", "attempt") for row in by_kind[kind]}
            attempts = await _rows_of(connection, ATTEMPTS, touched)  # what lines tell of former ones may be older
            await append_lines(connection, events)
            present = await _present_attempts(connection, {row["job_id"] for kind in OF_JOBS for row in by_kind[kind]})
            await _join_attempts(connection, by_kind["attempt"], attempts, present)
            await _join_stages(connection, by_kind["stage"], present)

    async def _rows(self, table: Table) -> AsyncIterator[Sequence[Any]]:
        """Yield the rows of a table in the order of its key, bytes by bytes in whatever language a database sorts.

        They are of one moment: one statement reads all of them.
        """
        async with self._database.reading(EXPORT_SECONDS) as connection:
            asked = select(table).order_by(*(_by_bytes(connection, key) for key in table.primary_key))
            result = await connection.stream(asked, execution_options={"yield_per": ROWS_A_TURN})
            async for rows in result.partitions():
                yield rows


def _by_bytes(connection: AsyncConnection, key: Any) -> Any:
    is_text = isinstance(key.type, Text)
    return collate(key, "C") if is_text and connection.dialect.name == "postgresql" else key


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


async def _rows_of(connection: AsyncConnection, table: Table, job_ids: Collection[str]) -> dict[Key, Row]:
    """Return the rows of jobs in a table, by its key."""
    found = await connection.execute(select(table).where(table.c.job_id.in_(sorted(job_ids))))
    rows = [dict(row) for row in found.mappings()]
    return {_key(table, row): row for row in rows}


def _key(table: Table, row: Mapping[str, Any]) -> Key:
    return tuple(row[column.name] for column in table.primary_key)


async def _present_attempts(connection: AsyncConnection, job_ids: Collection[str]) -> dict[str, int]:
    """Return the number of the present attempt of each job: its row and those of its stages follow from the job."""
    mine = select(JOBS.c.job_id, JOBS.c.document).where(JOBS.c.job_id.in_(sorted(job_ids)))
    return {row.job_id: decode_job(row.document).attempt.number for row in await connection.execute(mine)}


async def _join_attempts(
    connection: AsyncConnection, rows: Sequence[Row], before: Mapping[Key, Row], present: Mapping[str, int]
) -> None:
    """Keep of each former attempt what is told of its latest moment."""
    told = [*before.values(), *rows, *(await _rows_of(connection, ATTEMPTS, _job_ids(rows, before.values()))).values()]
    joined: dict[Key, Mapping[str, Json]] = {}
    for row in (row for row in told if row["attempt"] != present.get(row["job_id"])):
        key, summary = _key(ATTEMPTS, row), json.loads(row["summary"])
        joined[key] = further(joined.get(key, summary), summary)
    texts = [
        {"job_id": job_id, "attempt": attempt, "summary": text_of(dict(joined[job_id, attempt]))}
        for job_id, attempt in joined
    ]
    await upsert(connection, ATTEMPTS, texts)


async def _join_stages(connection: AsyncConnection, rows: Sequence[Row], present: Mapping[str, int]) -> None:
    """Keep of each stage of a former attempt its later end."""
    known = await _rows_of(connection, STAGES, _job_ids(rows))
    later: list[Row] = []
    for row in rows:
        there = known.get(_key(STAGES, row))
        is_former = row["attempt"] != present.get(row["job_id"])
        if there is None or (is_former and _end_of(row) > _end_of(there)):
            later.append(row)
    await upsert(connection, STAGES, later)


def _end_of(stage: Row) -> tuple[float, float, str]:
    return stage["finished_at"], stage["seconds"], stage["outcome"]


def _job_ids(*rows: Iterable[Row]) -> set[str]:
    return {row["job_id"] for some in rows for row in some}


class _Attributes:
    """Gives the values of a row as attributes."""

    def __init__(self, row: Row) -> None:
        self.__dict__.update(row)


def _line(value: Mapping[str, object]) -> bytes:
    return to_json(dict(value)) + b"\n"
