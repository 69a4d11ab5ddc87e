"""Lists of jobs out of Redis: one index a project, merged in order, filtered and cut into pages."""

from dataclasses import dataclass, field

from sidecar.adapters.matching import is_of_unfinished, matches
from sidecar.adapters.redis import keys
from sidecar.adapters.redis.documents import read_all
from sidecar.adapters.redis.keys import ProjectKeys
from sidecar.adapters.redis.link import Client, RedisLink
from sidecar.ports import Cursor, Order, Page, Place, Query, Stored

CHUNK = 200
MOST_READ = 5_000
"""Documents read for one page at most; a page that would need more ends early, with a next."""


@dataclass(slots=True)
class Walk:
    """One project's index, read forward in chunks; `ahead` are the places read and not yet taken, in order."""

    project: str
    index: str
    last: Place | None
    ahead: list[Place] = field(default_factory=list)
    is_exhausted: bool = False


async def read_page(link: RedisLink, query: Query) -> Page:
    """Return the jobs that match, in order, and where the next page begins.

    First as much is read as the page needs if everything matches.
    """
    redis = link.commands
    cursor = None if query.project is None else await _cursor(redis, query.project)
    walks = [Walk(project, _index(project, query), query.after) for project in await _projects(redis, query)]
    found: list[Stored] = []
    last, count, chunk = query.after, 0, min(CHUNK, query.limit + 1)
    while count < MOST_READ:
        batch, chunk = await _take(redis, walks, query, chunk), CHUNK
        if not batch:
            return Page(tuple(found), None, cursor)
        count += len(batch)
        for place, stored in zip(batch, await _documents(link, batch), strict=True):
            if stored is not None and matches(query, stored.view):
                if len(found) == query.limit:
                    return Page(tuple(found), last, cursor)
                found.append(stored)
            last = place[1]
    return Page(tuple(found), last, cursor)


def _index(project: str, query: Query) -> str:
    if query.order in (Order.NEWEST_UPDATED, Order.OLDEST_UPDATED):
        return ProjectKeys(project).index("updated")
    return ProjectKeys(project).index("active" if is_of_unfinished(query) else "created")


async def _projects(redis: Client, query: Query) -> list[str]:
    if query.project is not None:
        return [query.project]
    return sorted(p for p in map(bytes.decode, await redis.smembers(keys.PROJECTS)) if query.may_see(p))


async def _cursor(redis: Client, project: str) -> Cursor | None:
    epoch, rev = await redis.hmget(ProjectKeys(project).index("rev"), ["epoch", "rev"])
    return None if epoch is None or rev is None else Cursor(epoch.decode(), int(rev))


async def _take(redis: Client, walks: list[Walk], query: Query, most: int) -> list[tuple[str, Place]]:
    """Return the next places over all projects, in order."""
    descending = query.order in (Order.NEWEST_CREATED, Order.NEWEST_UPDATED)
    taken: list[tuple[str, Place]] = []
    while len(taken) < most:
        for walk in walks:
            if not walk.ahead and not walk.is_exhausted:
                await _refill(redis, walk, descending=descending)
        heads = [walk for walk in walks if walk.ahead]
        if not heads:
            break
        first = (max if descending else min)(heads, key=lambda walk: _sort_key(walk.ahead[0]))
        taken.append((first.project, first.ahead.pop(0)))
    return taken


async def _refill(redis: Client, walk: Walk, *, descending: bool) -> None:
    """Read the next chunk of an index; entries of the very same time are told apart by id."""
    ends = ("-inf", "+inf")
    start = ends[descending] if walk.last is None else repr(walk.last.at)
    offset = 0
    while not walk.ahead and not walk.is_exhausted:
        entries = await redis.zrange(
            walk.index,
            start,
            ends[not descending],
            desc=descending,
            byscore=True,
            offset=offset,
            num=CHUNK,
            withscores=True,
        )
        offset += CHUNK
        walk.is_exhausted = len(entries) < CHUNK
        places = [Place(float(score), member.decode()) for member, score in entries]
        walk.ahead = [place for place in places if _is_beyond(place, walk.last, descending=descending)]
    if walk.ahead:
        walk.last = walk.ahead[-1]


def _is_beyond(place: Place, last: Place | None, *, descending: bool) -> bool:
    if last is None:
        return True
    return _sort_key(place) < _sort_key(last) if descending else _sort_key(place) > _sort_key(last)


def _sort_key(place: Place) -> tuple[float, str]:
    return place.at, place.job_id


async def _documents(link: RedisLink, batch: list[tuple[str, Place]]) -> list[Stored | None]:
    """Return the documents at these places; None for one that is gone meanwhile."""
    by_project: dict[str, list[str]] = {}
    for project, place in batch:
        by_project.setdefault(project, []).append(place.job_id)
    answers = dict(zip(by_project, map(iter, await read_all(link, by_project)), strict=True))
    held = [next(answers[project]) for project, _ in batch]
    return [None if each is None else Stored(each.view, each.cursor) for each in held]
