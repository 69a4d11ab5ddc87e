import json

import pytest

from sidecar.core.job import Json
from sidecar.core.stalls import DEFAULT, Limits
from sidecar.http.middleware import rejection
from sidecar.job_types import DeclaredStage, DeclaredType, JobTypes
from tests.http.conftest import Sidecar, Starter


async def test_a_first_push_creates_the_job_and_answers_with_where_it_stands(sidecar: Sidecar) -> None:
    answer = await sidecar.push("j", current=3, total=10)
    assert {name: answer[name] for name in answer if name != "cursor"} == {
        "job_id": "j",
        "applied": True,
        "reason": "applied",
        "version": 1,
        "status": "running",
        "percent": 30.0,
        "attempt": 1,
        "cancel_requested": False,
        "pause_requested": False,
        "next_update_after_seconds": 0.0,
    }
    assert answer["cursor"].endswith("-1")


async def test_a_job_shows_what_was_pushed_under_the_names_of_the_contract(sidecar: Sidecar) -> None:
    await sidecar.push("j", project="uni", job_type="timetable", current=1, total=4, message="line\nand \u2028 line")
    job = await sidecar.job("j")
    assert list(job) == [
        *("job_id", "project", "job_type", "attempt", "status", "percent", "stage", "stage_label"),
        *("stage_percent", "current", "total", "total_growing", "unit", "items", "message", "detail", "stages"),
        *("eta", "rate_per_second", "stall", "blocked_on", "error", "result", "metadata", "labels", "resume"),
        *("parent_id", "trace_id", "cancel_requested", "pause_requested", "created_at", "started_at"),
        *("updated_at", "last_contact_at", "last_progress_at", "finished_at", "version", "cursor"),
    ]
    assert (job["project"], job["percent"], job["message"]) == ("uni", 25.0, "line\nand \u2028 line")


async def test_plain_curl_works(sidecar: Sidecar) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    async with sidecar.client.post("/v1/jobs/j", data=b"current=3&total=10&message=hello", headers=headers) as response:
        assert response.status == 200
    assert (await sidecar.job("j"))["message"] == "hello"


async def test_the_server_makes_an_id_where_none_is_given(sidecar: Sidecar) -> None:
    async with sidecar.client.post("/v1/jobs", json={"message": "hello"}) as response:
        answer = await response.json()
        assert response.status == 201
        assert response.headers["Location"] == f"/v1/jobs/{answer['job_id']}"
        assert len(answer["job_id"]) == 32
    assert (await sidecar.job(answer["job_id"]))["message"] == "hello"


async def test_a_job_named_in_the_body_is_created_once(sidecar: Sidecar) -> None:
    statuses = []
    for current in (1, 2):
        async with sidecar.client.post("/v1/jobs", json={"job_id": "j", "current": current}) as response:
            statuses.append((response.status, response.headers.get("Location")))
    assert statuses == [(201, "/v1/jobs/j"), (200, None)]


async def test_an_id_in_the_body_must_be_that_of_the_path(sidecar: Sidecar) -> None:
    async with sidecar.client.post("/v1/jobs/j", json={"job_id": "j"}) as response:
        assert response.status == 200
    async with sidecar.client.post("/v1/jobs/j", json={"job_id": "k"}) as response:
        assert (response.status, (await response.json())["errors"][0]["field"]) == (422, "job_id")


async def test_the_same_idempotency_key_counts_once(sidecar: Sidecar) -> None:
    reasons = []
    for _ in range(2):
        headers = {"Idempotency-Key": "k-1"}
        async with sidecar.client.post("/v1/jobs/j", json={"add": {"current": 5}}, headers=headers) as response:
            reasons.append((await response.json())["reason"])
    assert reasons == ["applied", "duplicate"]
    assert (await sidecar.job("j"))["current"] == 5


async def test_an_idempotency_key_with_another_body_is_refused(sidecar: Sidecar) -> None:
    for current, status in ((1, 200), (2, 422)):
        headers = {"Idempotency-Key": "k-1"}
        async with sidecar.client.post("/v1/jobs/j", json={"current": current}, headers=headers) as response:
            assert response.status == status


@pytest.mark.parametrize("key", ["", "k" * 129, "\u00e9\u0080"])
async def test_an_idempotency_key_is_short_and_printable(sidecar: Sidecar, key: str) -> None:
    async with sidecar.client.post("/v1/jobs/j", json={}, headers={"Idempotency-Key": key}) as response:
        assert (response.status, (await response.json())["errors"][0]["field"]) == (422, "Idempotency-Key")


async def test_another_project_is_a_conflict(sidecar: Sidecar) -> None:
    await sidecar.push("j", project="a")
    async with sidecar.client.post("/v1/jobs/j", json={"project": "b"}) as response:
        assert response.status == 409
        assert response.content_type == "application/problem+json"
    assert sidecar.metrics.counts["rejected", "conflict"] == 1


async def test_an_unknown_job_is_not_found(sidecar: Sidecar) -> None:
    async with sidecar.client.get("/v1/jobs/nobody") as response:
        problem = await response.json()
        assert (response.status, response.content_type) == (404, "application/problem+json")
    assert problem == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "there is no job 'nobody'",
        "request_id": response.headers["X-Request-Id"],
    }


async def test_a_refusal_tells_every_mistake_by_its_field(sidecar: Sidecar) -> None:
    async with sidecar.client.post("/v1/jobs/j", json={"current": -1, "message": 5}) as response:
        problem = await response.json()
    assert problem["errors"] == [
        {"field": "current", "message": "must be a finite number from 0 to 9223372036854775807"},
        {"field": "message", "message": "must be a string"},
    ]
    assert problem["detail"].endswith("; message: must be a string")


async def test_an_unchanged_job_is_not_sent_again(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    async with sidecar.client.get("/v1/jobs/j") as response:
        tag = response.headers["ETag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        async with sidecar.client.get("/v1/jobs/j", headers={"If-None-Match": known}) as response:
            assert (response.status, response.headers["ETag"], await response.read()) == (304, tag, b"")


async def test_a_changed_job_is_sent_whatever_the_client_knows(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    async with sidecar.client.get("/v1/jobs/j") as response:
        tag = response.headers["ETag"]
    await sidecar.push("j", current=2)
    for known in (tag, '"nonsense', "", "\u00e9"):
        async with sidecar.client.get("/v1/jobs/j", headers={"If-None-Match": known}) as response:
            assert response.status == 200


async def test_a_job_that_lives_again_under_its_id_has_another_etag(sidecar: Sidecar) -> None:
    await sidecar.push("j", message="first life")
    async with sidecar.client.get("/v1/jobs/j") as response:
        tag = response.headers["ETag"]
    async with sidecar.client.delete("/v1/jobs/j?force=true") as response:
        assert response.status == 204
    await sidecar.push("j", message="second life")
    async with sidecar.client.get("/v1/jobs/j", headers={"If-None-Match": tag}) as response:
        assert (response.status, (await response.json())["message"]) == (200, "second life")


async def test_the_views_of_a_job_have_different_tags(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    async with sidecar.client.get("/v1/jobs/j?view=full") as full, sidecar.client.get("/v1/jobs/j?view=brief") as brief:
        assert full.headers["ETag"] != brief.headers["ETag"]
        assert list(await brief.json()) == [
            *("job_id", "project", "job_type", "attempt", "status", "percent", "stage", "stage_label"),
            *("stage_percent", "current", "total", "unit", "message", "eta_seconds", "stall_reason", "parent_id"),
            *("created_at", "updated_at", "last_progress_at", "version", "cursor"),
        ]


@pytest.mark.parametrize("path", ["/v1/jobs/j", "/v1/jobs", "/v1/jobs/j/timeline", "/v1/jobs/j/events", "/healthz"])
async def test_head_works_where_get_does(sidecar: Sidecar, path: str) -> None:
    await sidecar.push("j", current=1)
    async with sidecar.client.head(path) as response:
        assert (response.status, await response.read()) == (200, b"")


async def test_head_of_an_export_is_empty(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    async with sidecar.client.head("/v1/jobs/j/timeline", headers={"Accept": "text/csv"}) as response:
        assert (response.status, response.content_type, await response.read()) == (200, "text/csv", b"")


async def listed(sidecar: Sidecar, query: str) -> list[str]:
    async with sidecar.client.get(f"/v1/jobs{query}") as response:
        assert response.status == 200, await response.text()
        return [job["job_id"] for job in (await response.json())["jobs"]]


@pytest.fixture
async def many(sidecar: Sidecar) -> Sidecar:
    """Return a sidecar with jobs a (oldest) to d."""
    await sidecar.push("a", project="p", job_type="t", status="queued", labels={"k": "v:w"})
    await sidecar.push("b", project="p", parent_id="a", labels={"k": "other", "l": "m"})
    await sidecar.push("c", project="p", status="completed")
    await sidecar.push("d", project="q", status="paused")
    return sidecar


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "dcba"),
        ("?project=p", "cba"),
        ("?job_type=t", "a"),
        ("?status=queued", "a"),
        ("?status=queued&status=paused", "da"),
        ("?status=queued,paused", "da"),
        ("?active=true", "dba"),
        ("?active=false", "c"),
        ("?stalled=true", ""),
        ("?label=k:v:w", "a"),
        ("?label=k:other&label=l:m", "b"),
        ("?label=k:nothing", ""),
        ("?parent_id=a", "b"),
        ("?updated_since=2020-01-01T00:00:00%2B02:00", "dcba"),
        ("?updated_since=2020-01-01T00:00:00+02:00", "dcba"),
        ("?updated_since=2099-01-01T00:00:00Z", ""),
        ("?order=created_at", "abcd"),
        ("?order=-updated_at", "dcba"),
        ("?limit=2", "dc"),
    ],
)
async def test_jobs_are_listed_by_every_filter(many: Sidecar, query: str, found: str) -> None:
    assert await listed(many, query) == list(found)


async def test_paging_repeats_no_job_and_misses_none(many: Sidecar) -> None:
    pages: list[list[str]] = []
    token: str | None = ""
    while token is not None:
        query = {"limit": "1", **({"page": token} if token else {})}
        async with many.client.get("/v1/jobs", params=query) as response:
            answer = await response.json()
        pages.append([job["job_id"] for job in answer["jobs"]])
        token = answer["next"]
    assert [job_id for page in pages for job_id in page] == ["d", "c", "b", "a"]


async def test_a_list_has_a_cursor_only_for_one_project(many: Sidecar) -> None:
    async with many.client.get("/v1/jobs") as all_jobs, many.client.get("/v1/jobs?project=p") as of_one:
        assert (await all_jobs.json())["cursor"] is None
        assert (await of_one.json())["cursor"].endswith("-3")


async def test_a_list_of_brief_rows_is_brief(many: Sidecar) -> None:
    async with many.client.get("/v1/jobs?view=brief") as response:
        assert all("stages" not in job for job in (await response.json())["jobs"])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?colour=blue", "colour"),
        ("?project=*", "project"),
        ("?project=a&project=b", "project"),
        ("?job_type=%F0%9F%98%80", "job_type"),
        ("?status=done", "status"),
        ("?status=", "status"),
        ("?active=yes", "active"),
        ("?stalled=1", "stalled"),
        ("?label=k", "label"),
        ("?label=%FF:x", "label"),
        ("?parent_id=a%20b", "parent_id"),
        ("?updated_since=yesterday", "updated_since"),
        ("?order=name", "order"),
        ("?limit=0", "limit"),
        ("?limit=1001", "limit"),
        ("?limit=-1", "limit"),
        ("?limit=%C2%B2", "limit"),
        ("?limit=" + "9" * 5_000, "limit"),
        ("?page=x", "page"),
        ("?page=%C3%A9", "page"),
        ("?page=WyJhIl0", "page"),
        ("?page=" + "W1tb" * 500, "page"),
        ("?view=tiny", "view"),
    ],
)
async def test_a_wrong_filter_is_refused_by_name(sidecar: Sidecar, query: str, field: str) -> None:
    async with sidecar.client.get(f"/v1/jobs{query}") as response:
        assert (response.status, (await response.json())["errors"][0]["field"]) == (422, field)


async def test_a_page_token_belongs_to_its_order(many: Sidecar) -> None:
    async with many.client.get("/v1/jobs?limit=1") as response:
        token = (await response.json())["next"]
    async with many.client.get("/v1/jobs", params={"page": token, "order": "created_at"}) as response:
        assert response.status == 422


@pytest.mark.parametrize("path", ["/v1/jobs/j?colour=1", "/v1/jobs/j/timeline?colour=1", "/v1/jobs/j/events?colour=1"])
async def test_an_unknown_parameter_is_refused(sidecar: Sidecar, path: str) -> None:
    async with sidecar.client.get(path) as response:
        assert response.status == 422


async def test_a_worker_hears_of_a_wish_in_its_next_answer(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    for wish in ("cancel", "pause"):
        async with sidecar.client.post(f"/v1/jobs/j/{wish}") as response:
            assert response.status == 200
    answer = await sidecar.push("j", current=2)
    assert (answer["cancel_requested"], answer["pause_requested"]) == (True, True)
    async with sidecar.client.post("/v1/jobs/j/resume") as response:
        assert (await response.json())["pause_requested"] is False


async def test_asking_twice_is_one_request(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    answers = []
    for _ in range(2):
        async with sidecar.client.post("/v1/jobs/j/cancel") as response:
            answers.append(await response.json())
    assert [answer["applied"] for answer in answers] == [True, False]
    assert answers[0]["version"] == answers[1]["version"]


async def test_a_finished_job_can_be_asked_nothing(sidecar: Sidecar) -> None:
    await sidecar.push("j", status="completed")
    async with sidecar.client.post("/v1/jobs/j/cancel") as response:
        assert response.status == 409


async def test_only_a_finished_job_is_deleted_without_force(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    async with sidecar.client.delete("/v1/jobs/j") as response:
        assert response.status == 409
    async with sidecar.client.delete("/v1/jobs/j?force=true") as response:
        assert (response.status, await response.read()) == (204, b"")
    async with sidecar.client.delete("/v1/jobs/j?force=true") as response:
        assert response.status == 404


async def test_the_timeline_is_read_in_pages(sidecar: Sidecar) -> None:
    await sidecar.push("j", event={"type": "new_area", "details": {"id": 3}})
    await sidecar.push("j", status="completed")
    async with sidecar.client.get("/v1/jobs/j/timeline?after=1&limit=2") as response:
        events = (await response.json())["events"]
    assert [(event["number"], event["type"]) for event in events] == [(2, "started"), (3, "new_area")]
    assert events[1]["details"] == {"id": 3}


async def test_the_timeline_is_exported_as_ndjson(sidecar: Sidecar) -> None:
    await sidecar.push("j", event={"type": "new_area"})
    async with sidecar.client.get("/v1/jobs/j/timeline", headers={"Accept": "application/x-ndjson"}) as response:
        lines = (await response.text()).splitlines()
        assert response.content_type == "application/x-ndjson"
    assert [json.loads(line)["type"] for line in lines] == ["created", "started", "new_area"]


async def test_the_timeline_is_exported_as_csv(sidecar: Sidecar) -> None:
    await sidecar.push("j", event={"type": "new_area", "details": {"why": '=1+"1"'}})
    async with sidecar.client.get("/v1/jobs/j/timeline", headers={"Accept": "text/csv;q=0.9"}) as response:
        text = await response.text()
    lines = text.split("\r\n")
    assert lines[0] == "number,at,type,attempt,details"
    assert lines[3].endswith(',new_area,1,"{""why"":""=1+\\""1\\""""}"')


async def test_an_export_has_every_event_however_many(sidecar: Sidecar) -> None:
    lines = [{"job_id": "j", "event": {"type": "tick"}} for _ in range(1_010)]
    async with sidecar.client.post("/v1/updates", json=lines) as response:
        assert response.status == 200
    async with sidecar.client.get("/v1/jobs/j/timeline", headers={"Accept": "application/x-ndjson"}) as response:
        numbers = [json.loads(line)["number"] for line in (await response.text()).splitlines()]
    assert numbers == list(range(1, 1_013))


async def test_an_export_of_an_unknown_job_is_a_problem(sidecar: Sidecar) -> None:
    async with sidecar.client.get("/v1/jobs/j/timeline", headers={"Accept": "text/csv"}) as response:
        assert (response.status, response.content_type) == (404, "application/problem+json")


async def results(sidecar: Sidecar, body: bytes, content_type: str = "application/x-ndjson") -> list[Json]:
    async with sidecar.client.post("/v1/updates", data=body, headers={"Content-Type": content_type}) as response:
        assert response.status == 200, await response.text()
        return list((await response.json())["results"])


async def test_one_bad_line_harms_no_other(sidecar: Sidecar) -> None:
    body = b'{"job_id":"a","current":1}\n\nnonsense\n{"job_id":"b","current":-1}\n{"current":1}\n{"job_id":"c"}\n'
    answers = await results(sidecar, body)
    assert [answer.get("reason") or answer["status"] for answer in answers] == ["applied", 400, 422, 422, "applied"]
    assert answers[2]["errors"][0]["field"] == "current"
    assert sidecar.metrics.counts["rejected", "validation"] == 3


async def test_refusals_count_under_the_type_that_was_named(sidecar: Sidecar) -> None:
    await sidecar.push("j", project="a")
    for body in (
        b'{"job_type":"of json","current":1}',  # no name
        b'{"job_type":"import","current":-1}',
        b"job_type=import&percent=much",
        b'{"job_type":"import","project":"b"}',  # a conflict
        b'{"job_type":7}',
        b'{"job_type":"import"',
        b'["import"]',
        b"{}[",
    ):
        async with sidecar.client.post("/v1/jobs/j", data=body, headers={"Content-Type": "text/plain"}) as response:
            assert response.status in {400, 409, 422}
    lines = [{"job_id": "k", "job_type": "import", "current": -1}, {"job_id": "j", "job_type": "export"}, 7]
    await results(sidecar, json.dumps(lines).encode(), "application/json")
    named = {key[1]: number for key, number in sidecar.metrics.counts.items() if key[0] == "rejected of"}
    assert named == {"of json": 1, "import": 4, "export": 1, "": 5}


async def test_what_a_refusal_is_counted_as() -> None:
    statuses = (401, 403, 404, 409, 413, 415, 422, 429, 503)
    assert [rejection(status) for status in statuses] == [
        *("auth", "auth", "validation", "conflict", "too_large", "validation", "validation", "rate_limited"),
        "unavailable",
    ]


async def test_updates_of_one_job_in_a_batch_keep_their_order(sidecar: Sidecar) -> None:
    lines = [{"job_id": f"j{n % 3}", "message": str(n)} for n in range(300)]
    answers = await results(sidecar, json.dumps(lines).encode(), "application/json")
    assert [answer["job_id"] for answer in answers] == [line["job_id"] for line in lines]
    assert (await sidecar.job("j2"))["message"] == "299"


async def test_a_batch_sent_twice_under_one_key_counts_once(sidecar: Sidecar) -> None:
    lines = [{"job_id": "j", "add": {"current": 1}}, {"job_id": "j", "add": {"current": 1}}]
    for _ in range(2):
        async with sidecar.client.post("/v1/updates", json=lines, headers={"Idempotency-Key": "k"}) as response:
            assert response.status == 200
    assert (await sidecar.job("j"))["current"] == 2


async def test_each_update_of_a_batch_has_its_own_limit(sidecar: Sidecar) -> None:
    big = json.dumps({"job_id": "big", "result": "x" * 70_000}).encode()
    answers = await results(sidecar, big + b'\n{"job_id":"small"}')
    assert [answer.get("reason") or answer["status"] for answer in answers] == [413, "applied"]
    assert sidecar.metrics.counts["rejected", "too_large"] == 1


async def test_an_empty_batch_is_answered(sidecar: Sidecar) -> None:
    assert await results(sidecar, b"") == []
    assert await results(sidecar, b"[]", "application/json") == []


async def test_declared_job_types_are_told_with_what_holds_for_the_others(start: Starter) -> None:
    declared = {"import": DeclaredType(stages=(DeclaredStage(name="read", no_progress_seconds=9),), silent_seconds=5)}
    sidecar = await start(job_types=JobTypes(declared, Limits(no_progress_seconds=50.0)))
    async with sidecar.client.get("/v1/job-types") as response:
        default, own = (await response.json())["job_types"]
    assert (default["job_type"], default["stages"], default["no_progress_seconds"]) == ("default", [], 50)
    assert (own["job_type"], own["silent_seconds"], own["no_progress_seconds"]) == ("import", 5, 50)
    assert own["stages"] == [{"name": "read", "weight": 1, "label": None, "no_progress_seconds": 9}]


async def test_type_that_is_strict_takes_no_stage_but_its_own(start: Starter) -> None:
    stages = (DeclaredStage(name="read"), DeclaredStage(name="write"))
    strict = DeclaredType(stages=stages, strict_stages=True)
    sidecar = await start(job_types=JobTypes({"import": strict, "lax": DeclaredType(stages=stages)}, DEFAULT))
    for body, field in (
        ({"job_type": "import", "stage": "solve"}, "stage"),
        ({"job_type": "import", "stages": [{"name": "read"}, {"name": "solve"}]}, "stages.1.name"),
    ):
        async with sidecar.client.post("/v1/jobs/new", json=body) as response:
            assert response.status == 422
            [error] = (await response.json())["errors"]
            assert error == {"field": field, "message": "is none of the stages of import"}
    async with sidecar.client.get("/v1/jobs/new") as response:
        assert response.status == 404
    await sidecar.push("j", job_type="import", stage="write", message="known")
    async with sidecar.client.post("/v1/jobs/j", json={"stage": "solve"}) as response:
        assert response.status == 422, "its type is known by now"
    await sidecar.push("j", stages=[{"name": "write"}, {"name": "read"}])
    await sidecar.push("k", job_type="lax", stage="solve")
    assert [stage["name"] for stage in (await sidecar.job("k"))["stages"]] == ["read", "write", "solve"]


async def test_stages_of_a_declared_type_are_those_of_a_job_that_names_none(start: Starter) -> None:
    stages = (DeclaredStage(name="read", weight=1), DeclaredStage(name="write", weight=3))
    sidecar = await start(job_types=JobTypes({"import": DeclaredType(stages=stages)}, DEFAULT))
    await sidecar.push("j", job_type="import", stage="write")
    await sidecar.push("own", job_type="import", stages=[{"name": "only"}])
    assert [stage["name"] for stage in (await sidecar.job("j"))["stages"]] == ["read", "write"]
    assert (await sidecar.job("j"))["percent"] == 25
    assert [stage["name"] for stage in (await sidecar.job("own"))["stages"]] == ["only"]
