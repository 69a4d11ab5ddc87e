"""Jobs as they stand in Redis: read many at once, and the arguments of the scripts that write them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.adapters.codec import decode_job, encode_event, encode_job, encode_notice
from sidecar.adapters.redis.keys import ProjectKeys
from sidecar.adapters.redis.link import RedisLink, Script
from sidecar.core.document import row
from sidecar.core.errors import Unreadable
from sidecar.core.job import Event, Job, Stall, StallReason
from sidecar.core.merge import fork
from sidecar.core.view import View, view
from sidecar.ports import Cursor, Gone, Missed, Stored

TOMBSTONE_SECONDS = 3_600.0
"""How long it is known of a job that it was deleted."""

READ = Script("read.lua")
CHANGES = Script("changes.lua")
AFTER_ALL_OTHERS = 1e11
"""Seconds: as a time it is the year 5138, and as a number it leaves a float its microseconds, some 15 of them."""

GONE, LOST = b"gone", b"lost"
"""What that script says in the place of a document."""


@dataclass(frozen=True, slots=True)
class Held:
    """A job as it stands in Redis; `tag` changes with every write."""

    view: View
    tag: int
    cursor: Cursor

    @property
    def job(self) -> Job:
        """Return the job itself."""
        return self.view.job


def held(stored: Sequence[Any], epoch: str) -> Held:
    """Return the job of a stored tag, document and rev; it counts on in the lineage of the epoch."""
    job = fork(decode_job(stored[1]), epoch)
    return Held(view(job), int(stored[0]), Cursor(epoch, int(stored[2])))


async def read(link: RedisLink, project: str, job_ids: Sequence[str]) -> list[Held | None]:
    """Return jobs of one project as they stand now, None for those that are not there, in one round trip."""
    return (await read_all(link, {project: job_ids}))[0]


async def read_all(link: RedisLink, job_ids_by_project: Mapping[str, Sequence[str]]) -> list[list[Held | None]]:
    """Return jobs of some projects, project by project, in one round trip; see `read`.

    One that this release cannot read is passed over like one that is not there: it keeps no other from being read.
    """
    return [
        [None if isinstance(each, Unreadable) else each for each in found]
        for found in await read_each(link, job_ids_by_project)
    ]


async def read_each(
    link: RedisLink, job_ids_by_project: Mapping[str, Sequence[str]]
) -> list[list[Held | Unreadable | None]]:
    """Do what `read_all` does, for whoever tells a job that cannot be read from one that is not there."""
    calls = []
    for project, job_ids in job_ids_by_project.items():
        place = ProjectKeys(project)
        calls.append(([place.index("rev"), *map(place.job, job_ids)], lambda _: ()))
    return [_held_all(answer) for answer in await link.evaluate_all(READ, calls)]


def _held_all(answer: Any) -> list[Held | Unreadable | None]:
    if isinstance(answer, Exception):
        raise answer
    epoch, *found = answer
    return [None if stored[1] is None else held_if_readable(stored, epoch.decode()) for stored in found]


def held_if_readable(stored: Sequence[Any], epoch: str) -> Held | Unreadable:
    """Return what `held` does, or raises."""
    try:
        return held(stored, epoch)
    except Unreadable as error:
        return error


async def read_changes(link: RedisLink, project: str, rev: int, limit: int) -> Missed:
    """Return the jobs that changed last after a rev, in ascending rev; see `Feed`.

    What was lost or cannot be read is passed over, so that more is read if it is all that was found.
    """
    changes: list[Stored | Gone] = []
    lost: list[str] = []
    unread: list[tuple[str, int]] = []
    while True:
        (epoch, newest, base, cut, reached), *found = await _found_after(link, ProjectKeys(project), rev, limit)
        epoch = "" if epoch is None else epoch.decode()
        for each in found:
            if each[2] == LOST:
                lost.append(each[0].decode())
            elif (change := _change(each, epoch)) is None:
                unread.append((each[0].decode(), int(each[1])))
            else:
                changes.append(change)
        if changes or not reached:
            break
        rev = int(reached)
    now = Cursor(epoch, int(newest or 0))
    return Missed(
        now,
        tuple(changes),
        is_more=bool(reached),
        base=int(base or 0),
        cut=int(cut or 0),
        lost=tuple(lost),
        unread=tuple(unread),
    )


async def _found_after(link: RedisLink, place: ProjectKeys, rev: int, limit: int) -> Any:
    keys = [place.index(name) for name in ("rev", "changed", "gone")]
    return await link.evaluate(CHANGES, keys, lambda _: (rev, limit, place.job("")))


def _change(found: Sequence[Any], epoch: str) -> Stored | Gone | None:
    """Return a change that was found, None if it cannot be read."""
    job_id, score, *stored = found
    if stored == [GONE]:
        return Gone(job_id.decode(), Cursor(epoch, int(score)))
    known = held_if_readable([*stored, score], epoch)
    return None if isinstance(known, Unreadable) else Stored(known.view, known.cursor)


DueAt = Callable[[View], float | None]
"""Tells when a job should be looked at if nothing is heard of it (Unix seconds), None if never."""


def never(_: View) -> float | None:
    """Return that nobody looks after a job."""
    return None


def write_arguments(
    known: Held | None, shown: View, tag: int, events: Sequence[Event], due_at: DueAt = never
) -> list[Any]:
    """Return what `live.lua` takes for one job: as it was known, as it is to be, its new tag and timeline lines."""
    job, stall = shown.job, shown.job.attempt.stall
    due = due_at(shown)
    is_told = known is None or known.job.version != job.version
    return [
        *(job.job_id, known.tag if known else "", tag, encode_job(job)),
        encode_notice(job.version, row(shown), is_end=shown.is_over) if is_told else b"",
        *(count_field(known.view) if known else "", count_field(shown)),
        *(job.created_at, job.updated_at, job.last_progress_at),
        *("" if due is None else due, "" if stall is None else rank(stall)),
        *(int(known is not None and not known.view.is_finished), int(not shown.is_finished)),
        *(int(is_told), len(events)),
        *map(encode_event, events),
    ]


def rank(stall: Stall) -> float:
    """Return the place of a job among those that are stuck: by since when, and after all others if nobody began it.

    However many wait, they hide none that runs.
    """
    return stall.since + (AFTER_ALL_OTHERS if stall.reason is StallReason.NOT_STARTED else 0.0)


def count_field(shown: View) -> str:
    """Return the field of `counts` that a job is counted in: by type and status, and by why it is stalled if it is."""
    stall = shown.job.attempt.stall
    return f"{shown.job.job_type}|{shown.status}" + ("" if stall is None else f"|{stall.reason}")
