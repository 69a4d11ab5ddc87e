"""Watching what is selected: of many jobs of a project, and of every project."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest

from sidecar.core.job import Json
from sidecar.tokens import Role, Token, digest
from tests.http.conftest import TIMES, Event, EventStream, Sidecar, Starter
from tests.http.test_watch_project import rev, until_synced, watching


async def test_every_project_is_kept_alive_also_when_there_is_none(start: Starter) -> None:
    sidecar = await start(times=replace(TIMES, heartbeat=0.1))
    async with watching(sidecar, "project=*&ping=event") as stream:
        await until_synced(stream)
        assert (await stream.next("ping")).data == {}


async def test_whoever_watched_every_project_and_left_is_noticed_also_when_there_is_none(start: Starter) -> None:
    sidecar = await start(times=replace(TIMES, heartbeat=0.1))
    async with watching(sidecar, "project=*") as stream:
        await until_synced(stream)
    await sidecar.metrics.until("stream_closed", "sse", "client")


async def test_every_project_is_pinged_once_a_heartbeat_however_many_there_are(start: Starter) -> None:
    sidecar = await start(times=replace(TIMES, heartbeat=0.5))
    for number in range(20):
        await sidecar.push("j" + str(number), project=f"p{number}")
    async with watching(sidecar, "project=*&ping=event") as stream:
        await until_synced(stream)
        began = asyncio.get_running_loop().time()
        for _ in range(3):
            await stream.next("ping")
        assert asyncio.get_running_loop().time() - began > 0.9


async def test_no_end_is_missed_by_who_watches_a_status_while_others_come_and_go(start: Starter) -> None:
    """What newcomers read of a job must not count as told to those who were there before."""
    sidecar = await start(most_streams=10_000, store_timeout_seconds=10.0)

    async def follow(stream: EventStream) -> set[str]:
        ends: set[str] = set()
        while "last" not in ends:
            event = await stream.next()
            if event.name == "done":
                ends.add(event.data["job_id"])
        return ends

    async def come_and_go() -> None:
        while True:
            async with watching(sidecar, "project=default&status=running") as stream:
                await until_synced(stream)

    jobs = [f"j{number}" for number in range(300)]
    async with watching(sidecar, "project=default&status=running") as stream, asyncio.TaskGroup() as tasks:
        await until_synced(stream)
        following = tasks.create_task(follow(stream))
        others = [tasks.create_task(come_and_go()) for _ in range(6)]
        for first in range(0, len(jobs), 3):
            for status in ("running", "completed"):
                await asyncio.gather(*(sidecar.push(job_id, status=status) for job_id in jobs[first : first + 3]))
        await sidecar.push("last", status="running")
        for other in others:
            other.cancel()
        await asyncio.wait(others)
        await sidecar.push("last", status="completed")
        missed = set(jobs) - await following
    assert missed == set()


def named(events: list[Event]) -> list[str]:
    """Return the jobs that were told of."""
    return [event.data["job_id"] for event in events if event.name in ("progress", "done")]


async def until_job(stream: EventStream, job_id: str) -> list[Event]:
    """Return what is said up to the first word of a job, that included."""
    told = [await stream.next()]
    while told[-1].data.get("job_id") != job_id:
        told.append(await stream.next())
    return told


async def rest(sidecar: Sidecar, stream: EventStream) -> list[Event]:
    """End all streams and return what was still written to this one before."""
    sidecar.services.streams.revoke(lambda _: False)
    told: list[Event] = []
    with suppress(EOFError):
        while True:
            told.append(await stream.next())
    return told


JOBS = {"a": ("t", "running"), "b": ("t", "queued"), "c": ("u", "running"), "d": ("u", "paused")}
SELECTIONS: list[tuple[str, set[str]]] = [
    ("", {"a", "b", "c", "d"}),
    ("&job_type=t", {"a", "b"}),
    ("&job_type=nothing", set()),
    ("&status=running", {"a", "c"}),
    ("&status=running,paused", {"a", "c", "d"}),
    ("&status=running&status=queued", {"a", "b", "c"}),
    ("&status=lost", set()),
    ("&job_id=a,d", {"a", "d"}),
    ("&job_id=a", {"a"}),
    ("&job_id=nobody", set()),
    ("&job_type=t&status=running", {"a"}),
    ("&job_type=u&status=queued", set()),
    ("&job_id=a,b,c&job_type=t", {"a", "b"}),
    ("&job_id=a,b,c&status=queued,paused", {"b"}),
    ("&job_id=a,b,c,d&job_type=u&status=paused", {"d"}),
]


@pytest.mark.parametrize("project", ["default", "*"])
@pytest.mark.parametrize(("query", "wanted"), SELECTIONS)
async def test_only_what_is_selected_is_told(sidecar: Sidecar, query: str, wanted: set[str], project: str) -> None:
    """At first, and after each change; after one of them everybody has heard that the others are outside."""

    async def push_all(current: int) -> None:
        for job_id, (job_type, status) in JOBS.items():
            await sidecar.push(job_id, job_type=job_type, status=status, current=current)

    await push_all(0)
    async with watching(sidecar) as everything, watching(sidecar, f"project={project}{query}") as some:
        await until_synced(everything)
        assert set(named(await until_synced(some))) == wanted
        for current in (1, 2):
            await push_all(current)
        await sidecar.push("last")
        await until_job(everything, "last")
        told = await rest(sidecar, some)
    assert {event.data["job_id"] for event in told if event.data.get("current") == 2} == wanted


async def test_a_job_that_comes_in_is_told_and_one_that_leaves_is_told_once_more(sidecar: Sidecar) -> None:
    await sidecar.push("j", status="queued")
    async with watching(sidecar, "project=default&status=running") as stream, watching(sidecar) as everything:
        assert named(await until_synced(stream)) == []
        await until_synced(everything)
        for status, message in (
            *(("running", "in"), ("running", "on"), ("paused", "out"), ("paused", "unheard"), ("blocked", "unheard")),
            *(("running", "in again"), ("completed", "end")),
        ):
            await sidecar.push("j", status=status, message=message)
            await until_job(everything, "j")
        told = await rest(sidecar, stream)
    heard = [event.data.get("job", event.data)["message"] for event in told]
    assert heard == ["in", "on", "out", "in again", "end"]
    assert told[-1].name == "done"


@pytest.mark.parametrize("status", ["paused", "completed"])
async def test_a_job_that_left_while_its_watcher_was_away_is_told_at_its_return(sidecar: Sidecar, status: str) -> None:
    await sidecar.push("j", status="running")
    async with watching(sidecar, "project=default&status=running") as stream:
        cursor = (await until_synced(stream))[-1].data["cursor"]
    await sidecar.push("j", status=status)
    async with watching(sidecar, "project=default&status=running", Last_Event_ID=cursor) as stream:
        told = await until_synced(stream)
    assert told[0].data["recovered"] is True
    assert [(event.name, event.data["status"]) for event in told[1:-1]] == [
        ("progress" if status == "paused" else "done", status)
    ]


async def test_a_job_that_is_deleted_is_gone_for_whoever_may_have_heard_of_it(sidecar: Sidecar) -> None:
    await push_named(sidecar)
    queries = {"status=running": ["running"], "job_id=running,queued": ["running", "queued"], "job_id=nobody": []}
    for query, expected in queries.items():
        await push_named(sidecar)
        async with watching(sidecar, f"project=default&{query}") as stream, watching(sidecar) as everything:
            await until_synced(stream)
            await until_synced(everything)
            for job_id in ("running", "queued"):
                async with sidecar.client.delete(f"/v1/jobs/{job_id}?force=true") as response:
                    assert response.status == 204
            await sidecar.push("last", status="paused")
            await until_job(everything, "last")
            told = await rest(sidecar, stream)
        gone = [event.data["job_id"] for event in told if event.name == "gone"]
        assert [job_id for job_id in gone if job_id in expected] == expected, query


async def push_named(sidecar: Sidecar) -> None:
    for status in ("running", "queued", "completed"):
        await sidecar.push(status, status=status)


async def test_at_first_only_unfinished_jobs_are_told_unless_a_finished_one_is_named(sidecar: Sidecar) -> None:
    for status in ("running", "queued", "paused", "blocked", "completed", "failed", "cancelled"):
        await sidecar.push(status, status=status)
    unfinished = {"running", "queued", "paused", "blocked"}
    for query, expected in (
        ("", unfinished),
        ("&status=completed,failed", set()),
        ("&job_id=running,failed,cancelled,nobody", {"running", "failed", "cancelled"}),
        ("&job_id=running,failed,cancelled&status=failed", {"failed"}),
    ):
        async with watching(sidecar, f"project=default{query}") as stream:
            told = await until_synced(stream)
        assert set(named(told)) == expected, query
        ended = {event.data["job_id"] for event in told if event.name == "done"}
        assert ended == expected - unfinished, query


async def test_finished_jobs_that_are_named_come_in_ascending_rev(sidecar: Sidecar) -> None:
    for job_id in ("c", "a", "b"):
        await sidecar.push(job_id, status="completed")
    await sidecar.push("d")
    async with watching(sidecar, "project=default&job_id=a,b,c,d") as stream:
        told = (await until_synced(stream))[1:-1]
    assert [event.data["job_id"] for event in told] == ["c", "a", "b", "d"]
    assert [rev(event.id) for event in told] == sorted(rev(event.id) for event in told)


async def test_a_named_job_of_another_project_is_not_told(sidecar: Sidecar) -> None:
    await sidecar.push("theirs", project="other")
    await sidecar.push("mine")
    async with watching(sidecar, "project=default&job_id=theirs,mine") as stream:
        assert named(await until_synced(stream)) == ["mine"]
        await sidecar.push("theirs", current=1)
        await sidecar.push("mine", current=1)
        assert (await stream.next("progress")).data["job_id"] == "mine"


@pytest.mark.parametrize("query", ["", "&status=running", "&view=full"])
async def test_a_job_that_finishes_while_the_state_is_read_is_not_lost(start: Starter, query: str) -> None:
    """More jobs than one read takes; each is told as unfinished, or was finished before, or is told at its end."""
    sidecar = await start(store_timeout_seconds=10.0)
    ids = [f"j{number:03}" for number in range(450)]
    async with sidecar.client.post("/v1/updates", json=[{"job_id": job_id} for job_id in ids]) as response:
        assert response.status == 200
    ends: dict[str, int] = {}

    async def finish(some: list[str]) -> None:
        for job_id in some:
            ends[job_id] = rev((await sidecar.push(job_id, status="completed"))["cursor"])

    async with watching(sidecar, f"project=default{query}") as stream, asyncio.TaskGroup() as tasks:
        finishing = [tasks.create_task(finish(ids[first::4][::-1])) for first in range(3)]
        told = await until_synced(stream)
        await asyncio.wait(finishing)
        told += await until_done(stream, set(ends) - done(told), rev(told[0].data["cursor"]), ends)
    began = rev(told[0].data["cursor"])
    assert done(told) >= {job_id for job_id, end in ends.items() if end > began}
    assert set(named(told)) >= set(ids) - {job_id for job_id, end in ends.items() if end <= began}
    revs = [rev(event.id) for event in told if event.id is not None]
    assert revs == sorted(set(revs))


def done(told: list[Event]) -> set[str]:
    return {event.data["job_id"] for event in told if event.name == "done"}


async def until_done(stream: EventStream, missing: set[str], began: int, ends: dict[str, int]) -> list[Event]:
    """Return what is said until every one of these jobs that ended after the beginning is done."""
    told: list[Event] = []
    while {job_id for job_id in missing if ends[job_id] > began} - done(told):
        told.append(await stream.next())
    return told


@pytest.fixture
async def shared(start: Starter) -> Sidecar:
    """Return a sidecar with a reader of two projects and an admin of all."""
    return await start(
        Token(Role.READER, frozenset({"p", "q"}), digest("a-reader-of-p-and-q")),
        Token(Role.ADMIN, frozenset("*"), digest("an-admin-of-everything")),
        times=replace(TIMES, heartbeat=0.2),
    )


async def put(sidecar: Sidecar, job_id: str, **fields: Json) -> None:
    headers = {"Authorization": "Bearer an-admin-of-everything"}
    async with sidecar.client.post(f"/v1/jobs/{job_id}", json=fields, headers=headers) as response:
        assert response.status == 200


async def test_every_project_is_every_one_that_the_token_reaches(shared: Sidecar) -> None:
    for project in ("p", "q", "r"):
        await put(shared, f"of-{project}", project=project)
    for secret, expected in (
        ("a-reader-of-p-and-q", {"of-p", "of-q"}),
        ("an-admin-of-everything", {"of-p", "of-q", "of-r"}),
    ):
        async with watching(shared, "project=*", Authorization=f"Bearer {secret}") as stream:
            assert set(named(await until_synced(stream))) == expected
            for project in ("r", "p", "q"):
                await put(shared, f"of-{project}", current=1)
            told = [await stream.next("progress") for _ in expected]
            assert {event.data["job_id"] for event in told} == expected


async def test_a_new_project_is_taken_in_within_a_second_if_the_token_reaches_it(shared: Sidecar) -> None:
    async with watching(shared, "project=*", Authorization="Bearer a-reader-of-p-and-q") as stream:
        await until_synced(stream)
        await put(shared, "hidden", project="r")
        for job_id, project in (("one", "p"), ("two", "q")):
            await put(shared, job_id, project=project)
            async with asyncio.timeout(3):
                assert (await stream.next("progress")).data["job_id"] == job_id
            await put(shared, "hidden", message=job_id)
            await put(shared, job_id, status="completed")
            assert (await stream.next("done")).data["job_id"] == job_id


async def test_every_project_has_no_cursor_but_a_mark_that_it_was_opened(sidecar: Sidecar) -> None:
    await sidecar.push("j", project="p")
    await sidecar.push("k", project="q")
    async with watching(sidecar, "project=*") as stream:
        told = await until_synced(stream)
        await sidecar.push("j", current=1)
        told.append(await stream.next("progress"))
        await sidecar.push("j", status="failed")
        told.append(await stream.next("done"))
        await sidecar.client.delete("/v1/jobs/k?force=true")
        told.append(await stream.next("gone"))
    assert [event.id for event in told] == ["*", *[None] * (len(told) - 1)]
    assert (told[0].data["project"], told[0].data["recovered"], told[0].data["cursor"]) == ("*", False, None)
    assert [event.data["cursor"] for event in told if event.name == "synced"] == [None]


@pytest.mark.parametrize("cursor", ["*", "e-1", "{cursor}"])
async def test_whoever_comes_back_to_every_project_gets_everything(sidecar: Sidecar, cursor: str) -> None:
    heard = cursor.format(cursor=(await sidecar.push("j"))["cursor"])
    await sidecar.push("k", project="q")
    async with watching(sidecar, "project=*", Last_Event_ID=heard) as stream:
        told = await until_synced(stream)
    assert told[0].data["recovered"] is False
    assert sorted(named(told)) == ["j", "k"]


@pytest.mark.parametrize(("view", "has_stages"), [("", False), ("&view=brief", False), ("&view=full", True)])
async def test_jobs_of_every_project_are_rows_unless_asked_for_whole(
    sidecar: Sidecar, view: str, *, has_stages: bool
) -> None:
    await sidecar.push("j", project="p")
    async with watching(sidecar, f"project=*{view}") as stream:
        told = await until_synced(stream)
        await sidecar.push("j", current=1)
        told.append(await stream.next("progress"))
    assert {"stages" in event.data for event in told if event.name == "progress"} == {has_stages}


async def test_stream_of_all_projects_takes_few_tasks_however_many_there_are(sidecar: Sidecar) -> None:
    lines = [{"job_id": f"j{number}", "project": f"p{number}"} for number in range(100)]
    async with sidecar.client.post("/v1/updates", json=lines) as response:
        assert response.status == 200
    before = len(asyncio.all_tasks())
    async with watching(sidecar, "project=*") as stream:
        await until_synced(stream)
        assert len(asyncio.all_tasks()) - before < 10
        await sidecar.push("j99", current=1)
        assert (await stream.next()).data["job_id"] == "j99"
        await sidecar.push("new", project="new")
        assert (await stream.next()).data["job_id"] == "new"


@pytest.mark.parametrize("path", ["/v1/jobs/j/events", "/v1/events?project=default", "/v1/events?project=*"])
@pytest.mark.parametrize(("query", "is_event"), [("", False), ("ping=comment", False), ("ping=event", True)])
async def test_heartbeats_are_events_for_whoever_asks(start: Starter, path: str, query: str, *, is_event: bool) -> None:
    sidecar = await start(times=replace(TIMES, heartbeat=0.1))
    await sidecar.push("j")
    async with sidecar.client.get(f"{path}{'&' if '?' in path else '?'}{query}") as response:
        stream = EventStream(response.content)
        while (await stream.next()).name != "progress":
            continue
        block = await stream.block()
        while block.name == "synced":
            block = await stream.block()
    assert block == (Event(name="ping", data={}) if is_event else Event(comment="ping"))


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("ping=", "ping"),
        ("ping=true", "ping"),
        ("status=asleep", "status"),
        ("status=running,", "status"),
        ("job_type=a/b", "job_type"),
        ("job_type=", "job_type"),
        ("job_id=", "job_id"),
        ("job_id=a,,b", "job_id"),
        ("job_id=a,b%20c", "job_id"),
        ("job_id=a&job_id=b", "job_id"),
        ("job_id=" + ",".join(f"j{number}" for number in range(1_001)), "job_id"),
    ],
    ids=lambda text: text[:20],
)
async def test_a_selection_that_is_none_is_a_mistake(sidecar: Sidecar, query: str, field: str) -> None:
    async with sidecar.client.get(f"/v1/events?project=p&{query}") as response:
        assert response.status == 422
        assert (await response.json())["errors"][0]["field"] == field


async def test_a_thousand_jobs_can_be_named(sidecar: Sidecar) -> None:
    ids = [f"j{number}" for number in range(1_000)]
    async with sidecar.client.post("/v1/updates", json=[{"job_id": job_id} for job_id in ids[::10]]) as response:
        assert response.status == 200
    async with watching(sidecar, f"project=default&job_id={','.join(ids)}") as stream:
        assert sorted(named(await until_synced(stream))) == sorted(ids[::10])
        await sidecar.push("j999", current=1)
        assert (await stream.next("progress")).data["job_id"] == "j999"
