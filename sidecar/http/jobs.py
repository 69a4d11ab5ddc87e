"""Jobs over REST: push, read, list, ask, forget. A handler decodes, calls one thing and encodes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from sidecar.core.errors import SidecarError
from sidecar.core.job import Event, Request
from sidecar.http import answers, bodies, queries, tracing, updates
from sidecar.http.auth import Right
from sidecar.http.batch import Batch
from sidecar.http.problem import FieldError, InvalidRequest
from sidecar.http.requests import body_of, json_answer
from sidecar.http.services import NAMED_TYPE, PRINCIPAL, REQUEST_ID, SERVICES
from sidecar.http.watch import long_poll
from sidecar.http.watch.job import WantedJob
from sidecar.http.wire import Report
from sidecar.tokens import EVERY_PROJECT
from sidecar.tracker import MayUse, Pushed

MOST_KEY = 128
EXPORTED_AT_ONCE = 1_000
WRITE_SECONDS = 30.0
NOTHING_SAID = (b"", b"{}")


async def push(request: web.Request) -> web.Response:
    """POST /v1/jobs/{job_id}: report progress."""
    job_id = queries.job_id(request.match_info["job_id"])
    report = await _report(request)
    if report.job_id not in (None, job_id):
        raise InvalidRequest(FieldError("job_id", "contradicts the id in the path"))
    pushed = await _push(request, report, job_id)
    return json_answer(answers.pushed(pushed.written, pushed.next_update_after_seconds))


async def create(request: web.Request) -> web.Response:
    """POST /v1/jobs: report progress of the job named in the body, or of a new one."""
    report = await _report(request)
    job_id = report.job_id or updates.new_id()
    pushed = await _push(request, report, job_id)
    answer = json_answer(answers.pushed(pushed.written, pushed.next_update_after_seconds))
    if any(event.type == "created" for event in pushed.written.outcome.events):
        answer.set_status(201)
        answer.headers["Location"] = f"/v1/jobs/{job_id}"
    return answer


async def push_many(request: web.Request) -> web.Response:
    """POST /v1/updates: many updates of many jobs, each with its own answer."""
    may = _may(request, Right.PUSH)
    body = await body_of(request, bodies.BATCH_BYTES)
    lines = bodies.lines_of(body, request.headers.get("Content-Type", ""))
    batch = Batch(request.app[SERVICES], may, request[REQUEST_ID], _key(request))
    return json_answer({"results": await batch.push(lines)})


async def read(request: web.Request) -> web.Response:
    """GET /v1/jobs/{job_id}: one job, with ?after= as soon as it is newer than that."""
    may = _may(request, Right.READ)
    queries.only(request.query, "view", "after", "wait", "ticket")
    view = queries.view(request.query)
    heard, seconds = request.query.get("after", ""), queries.wait_seconds(request.query)
    wanted = WantedJob(queries.job_id(request.match_info["job_id"]), may, view, heard)
    stored = await long_poll.newer(request, wanted, seconds)
    if stored is None:
        return web.Response(status=204)
    tag = answers.etag(stored, view)
    known = {each.value for each in request.if_none_match or ()}
    answer = (
        web.Response(status=304) if known & {tag, "*"} else json_answer(answers.VIEWS[view](stored.view, stored.cursor))
    )
    answer.headers.update({"ETag": f'"{tag}"', "Cache-Control": "no-cache"})
    return answer


async def listing(request: web.Request) -> web.Response:
    """GET /v1/jobs: a page of jobs."""
    query = queries.jobs(request.query, _may(request, Right.READ))
    page = await request.app[SERVICES].tracker.page(query)
    following = queries.page_token(page.next, query.order)
    return json_answer(answers.page(page, queries.show(request.query), following))


def asking(wish: Request) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return the handler of POST /v1/jobs/{job_id}/cancel, /pause or /resume."""

    async def ask(request: web.Request) -> web.Response:
        may = _may(request, Right.CONTROL)
        job_id = queries.job_id(request.match_info["job_id"])
        written = await request.app[SERVICES].tracker.ask(job_id, wish, may)
        return json_answer(answers.pushed(written, 0.0))

    return ask


async def forget(request: web.Request) -> web.Response:
    """DELETE /v1/jobs/{job_id}: forget a finished job, with ?force=true any."""
    may = _may(request, Right.DELETE)
    queries.only(request.query, "force")
    force = queries.parsed(request.query, "force", queries.flag) or False
    job_id = queries.job_id(request.match_info["job_id"])
    await request.app[SERVICES].tracker.forget(job_id, may, force=force)
    return web.Response(status=204)


async def timeline(request: web.Request) -> web.StreamResponse:
    """GET /v1/jobs/{job_id}/timeline: a page of its events, or all of them as NDJSON or CSV."""
    may = _may(request, Right.READ)
    queries.only(request.query, "after", "limit")
    job_id = queries.job_id(request.match_info["job_id"])
    after = queries.parsed(request.query, "after", queries.number) or 0
    limit = queries.parsed(request.query, "limit", queries.limit) or queries.LISTED
    media_type = queries.accepted(request.headers.get("Accept", ""), EXPORTS)
    if media_type is not None:
        return await _export(request, job_id, after, media_type)
    events = await request.app[SERVICES].tracker.timeline(job_id, after, limit, may)
    return json_answer({"events": [answers.event(event) for event in events]})


async def attempts(request: web.Request) -> web.Response:
    """GET /v1/jobs/{job_id}/attempts: what each attempt has reached, the present one last."""
    may = _may(request, Right.READ)
    queries.only(request.query)
    job_id = queries.job_id(request.match_info["job_id"])
    return json_answer({"attempts": await request.app[SERVICES].tracker.attempts(job_id, may)})


async def begin_attempt(request: web.Request) -> web.Response:
    """POST /v1/jobs/{job_id}/attempts: begin the next attempt after a crash or a failure."""
    may = _may(request, Right.PUSH)
    queries.only(request.query)
    job_id = queries.job_id(request.match_info["job_id"])
    if (await body_of(request, request.app[SERVICES].max_update_bytes)).strip() not in NOTHING_SAID:
        raise InvalidRequest(FieldError("body", "must be empty: what the attempt does is reported afterwards"))
    update = updates.nothing(job_id, _key(request), tracing.trace_id(request.headers))
    begun = await request.app[SERVICES].tracker.begin_attempt(update, may)
    return json_answer(answers.begun(begun), status=201)


async def stats(request: web.Request) -> web.Response:
    """GET /v1/stats: how the finished jobs of each type went."""
    may = _may(request, Right.READ)
    asked = queries.stats(request.query)
    found = await request.app[SERVICES].tracker.stats(asked, may)
    return json_answer({"job_types": [answers.type_stats(each) for each in found]})


async def job_types(request: web.Request) -> web.Response:
    """GET /v1/job-types: what is declared of job types and known from their past, and so holds for the next job."""
    may = _may(request, Right.READ)
    queries.only(request.query)
    known = request.app[SERVICES].known_types(is_every_project_seen=may(EVERY_PROJECT))
    return json_answer({"job_types": [answers.job_type(each) for each in known]})


EXPORTS = {
    "application/x-ndjson": (b"", answers.ndjson),
    "text/csv": (answers.CSV_HEADER_LINE, answers.csv_rows),
}


async def _export(request: web.Request, job_id: str, after: int, media_type: str) -> web.StreamResponse:
    """Send a whole timeline, page by page."""
    header, encode = EXPORTS[media_type]
    pages = _pages(request, job_id, after)
    first = await anext(pages)
    response = web.StreamResponse(headers={"Content-Type": f"{media_type}; charset=utf-8"})
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    await _write(response, header + encode(first))
    async for page in pages:
        await _write(response, encode(page))
    return response


async def _pages(request: web.Request, job_id: str, after: int) -> AsyncIterator[list[Event]]:
    may = _may(request, Right.READ)
    while True:
        page = await request.app[SERVICES].tracker.timeline(job_id, after, EXPORTED_AT_ONCE, may)
        yield page
        if len(page) < EXPORTED_AT_ONCE:
            return
        after = page[-1].number


async def _write(response: web.StreamResponse, data: bytes) -> None:
    try:
        async with asyncio.timeout(WRITE_SECONDS):
            await response.write(data)
    except TimeoutError:
        raise ConnectionResetError("the client does not read") from None


async def _report(request: web.Request) -> Report:
    """Return the one report in the body, once it is clear that the sender may push at all."""
    _may(request, Right.PUSH)
    body = await body_of(request, request.app[SERVICES].max_update_bytes)
    content_type = request.headers.get("Content-Type", "")
    try:
        report = bodies.report_of(body, content_type)
    except SidecarError:
        request[NAMED_TYPE] = bodies.named_type(body)
        raise
    request[NAMED_TYPE] = report.job_type or ""
    return report


async def _push(request: web.Request, report: Report, job_id: str) -> Pushed:
    update = updates.update(report, job_id=job_id, key=_key(request), trace_id=tracing.trace_id(request.headers))
    return await request.app[SERVICES].tracker.push(update, _may(request, Right.PUSH))


def _key(request: web.Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= MOST_KEY and key.isprintable()):
        raise InvalidRequest(FieldError("Idempotency-Key", f"must be 1 to {MOST_KEY} printable characters"))
    return key


def _may(request: web.Request, right: Right) -> MayUse:
    return request[PRINCIPAL].may(right)
