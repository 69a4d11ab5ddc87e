"""One page of jobs out of two: those that are live, and those of the past."""

from sidecar.ports import Order, Page, Place, Query, Stored


def merged(query: Query, live: Page, past: Page) -> Page:
    """Return one page of two in the same order: as far as both reach."""
    is_descending = query.order in (Order.NEWEST_CREATED, Order.NEWEST_UPDATED)
    ends = [_key(page.next) for page in (live, past) if page.next is not None]
    bound = (max if is_descending else min)(ends, default=None)
    by_id = {each.view.job.job_id: each for each in (*past.jobs, *live.jobs)}
    keyed = sorted(((_key(_place(query, each)), each) for each in by_id.values()), key=_first, reverse=is_descending)
    if bound is not None:
        keyed = [(key, each) for key, each in keyed if (key >= bound if is_descending else key <= bound)]
    jobs = tuple(each for _, each in keyed[: query.limit])
    if len(keyed) > query.limit:
        return Page(jobs, Place(*keyed[query.limit - 1][0]), live.cursor)
    return Page(jobs, None if bound is None else Place(*bound), live.cursor)


def _place(query: Query, stored: Stored) -> Place:
    job = stored.view.job
    is_by_update = query.order in (Order.NEWEST_UPDATED, Order.OLDEST_UPDATED)
    return Place(job.updated_at if is_by_update else job.created_at, job.job_id)


def _key(place: Place) -> tuple[float, str]:
    return place.at, place.job_id


def _first(keyed: tuple[tuple[float, str], Stored]) -> tuple[float, str]:
    return keyed[0]
