"""The examples, run as people run them: against a server that writes down what it is told, and the sidecar itself."""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from sidecar.app import serving
from sidecar.settings import Settings
from tests.servers.ports import free_port

INDEX_TREE = Path(__file__).parent.parent / "examples" / "index_tree.py"
PATIENCE_SECONDS = 60.0
CANCELLED = 3

FILES = {
    "main.py": b"print('hello')\n",
    "empty.txt": b"",
    "notes.txt": b"some notes",
    "package/main.py": b"print('hello')\n",
    "package/deep/er/library.so": bytes(range(256)) * 10_000,
    "package/deep/README": b"read me",
    "package/deep/nothing.txt": b"",
    "package/deep/archive.7z": b"no identifier",
}

Report = dict[str, Any]
Answer = Callable[[list[Report]], web.Response]
"""What to answer to the last of these reports."""


def accepted(reports: list[Report]) -> web.Response:
    return web.json_response({"applied": True, "reason": "applied", "version": len(reports)})


@dataclass
class Recorder:
    """A server at which a worker reports; `gaps` are the seconds from each answer to the next report."""

    answer: Answer
    url: str = ""
    reports: list[Report] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    job_ids: set[str] = field(default_factory=set)
    gaps: list[float] = field(default_factory=list)
    answered_at: float | None = None

    async def push(self, request: web.Request) -> web.Response:
        clock = asyncio.get_running_loop().time
        if self.answered_at is not None:
            self.gaps.append(clock() - self.answered_at)
        self.reports.append(await request.json())
        self.headers.append(dict(request.headers))
        self.job_ids.add(request.match_info["job_id"])
        response = self.answer(self.reports)
        self.answered_at = clock()
        return response

    def said(self, name: str) -> list[Any]:
        """Return what was said under this name, a run of equals once."""
        values = [report[name] for report in self.reports if name in report]
        return [value for index, value in enumerate(values) if index == 0 or value != values[index - 1]]


@asynccontextmanager
async def recording(answer: Answer = accepted) -> AsyncIterator[Recorder]:
    recorder = Recorder(answer)
    app = web.Application()
    app.router.add_post("/prefix/v1/jobs/{job_id}", recorder.push)
    async with TestServer(app) as server:
        recorder.url = str(server.make_url("/prefix/"))
        yield recorder


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    code: int | None
    out: str
    err: str

    @property
    def result(self) -> Any:
        return json.loads(self.out)


async def index(path: Path, *options: str, **environment: str) -> Ended:
    """Run the worker on a tree."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "dev", "-W", "error", str(INDEX_TREE), str(path), *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Ended(process.returncode, out.decode(), err.decode())


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a tree of the files above and of what a worker must not trip over."""
    root = tmp_path / "tree"
    for name, content in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (root / "package" / "loop").symlink_to(root)
    (root / "link.txt").symlink_to(root / "notes.txt")
    (root / "dangling").symlink_to(root / "nowhere")
    os.mkfifo(root / "pipe")
    return root


def is_right(result: Report) -> bool:
    """Tell whether a result is what the files above amount to."""
    sizes = Counter({"so": 2_560_000, "py": 30, "txt": 10, "other": 20})
    largest = sorted(FILES, key=lambda name: -len(FILES[name]))[:5]
    return result == {
        "files": len(FILES),
        "bytes": sum(map(len, FILES.values())),
        "kinds": dict(sizes),
        "largest": [{"name": name, "bytes": len(FILES[name])} for name in largest],
        "duplicates": [{"bytes": 15, "names": ["main.py", "package/main.py"]}],
    }


async def test_a_tree_is_indexed_and_the_result_is_printed_and_reported(tree: Path) -> None:
    async with recording() as recorder:
        ended = await index(tree, SIDECAR_URL=recorder.url)
    assert (ended.code, ended.err) == (0, "")
    assert is_right(ended.result)
    assert recorder.reports[-1]["status"] == "completed"
    assert recorder.reports[-1]["result"] == ended.result
    ends = {(report["stage"], report["current"]) for report in recorder.reports if "current" in report}
    assert {("scanning", 4), ("hashing", len(FILES)), ("summarising", 2)} <= ends, "each stage tells its last count"


async def test_stages_come_in_the_order_of_the_plan_which_is_told_once_and_first(tree: Path) -> None:
    async with recording() as recorder:
        await index(tree, "--project", "demo", "--job-id", "index-1", SIDECAR_URL=recorder.url)
    assert recorder.job_ids == {"index-1"}
    assert recorder.said("stage") == ["scanning", "hashing", "summarising"]
    assert ["stages" in report for report in recorder.reports] == [True, *[False] * (len(recorder.reports) - 1)]
    assert [stage["name"] for stage in recorder.reports[0]["stages"]] == recorder.said("stage")
    assert all(stage["weight"] > 0 and stage["label"] for stage in recorder.reports[0]["stages"])
    assert (recorder.reports[0]["project"], recorder.reports[0]["job_type"]) == ("demo", "index-tree")


async def test_every_report_has_the_same_writer_and_a_higher_seq(tree: Path) -> None:
    async with recording() as recorder:
        await index(tree, "--slow", "0.21", SIDECAR_URL=recorder.url)
        await index(tree, SIDECAR_URL=recorder.url)
    assert len(recorder.said("writer")) == 2, "one for each process"
    first = [report["seq"] for report in recorder.reports if report["writer"] == recorder.said("writer")[0]]
    assert len(first) > len(FILES)
    assert first == sorted(set(first))


async def test_the_total_grows_while_directories_turn_up_and_is_certain_then(tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / "c" / "d").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path)
    async with recording() as recorder:
        await index(tmp_path, "--slow", "0.21", SIDECAR_URL=recorder.url)
    scanning = [report for report in recorder.reports if report.get("stage") == "scanning"]
    others = [report for report in recorder.reports if report.get("stage") in ("hashing", "summarising")]
    told = list(dict.fromkeys((each["current"], each["total"], each["total_growing"]) for each in scanning))
    true = [(0, 1, True), (1, 2, True), (2, 3, True), (3, 4, True), (4, 5, True), (5, 5, False)]
    assert told == [each for each in true if each in told]
    assert len(told) > 3
    assert told[-1] == (5, 5, False)
    assert others
    assert all(report["total_growing"] is False for report in others)


async def test_files_are_counted_by_kind_while_they_are_read(tree: Path) -> None:
    async with recording() as recorder:
        await index(tree, "--slow", "0.21", SIDECAR_URL=recorder.url)
    hashing = [report for report in recorder.reports if report.get("stage") == "hashing"]
    assert {report["total"] for report in hashing} == {len(FILES)}
    assert [report["current"] for report in hashing] == sorted(report["current"] for report in hashing)
    assert recorder.said("items")[-1] == {"py": 2, "txt": 3, "so": 1, "other": 2}
    assert recorder.said("metadata")[-1] == {"bytes": sum(map(len, FILES.values()))}
    assert {"main.py", "notes.txt"} <= set(recorder.said("message"))


async def test_a_tree_of_many_kinds_is_told_as_twelve_at_most(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"file.kind{number}").write_bytes(b"x")
    async with recording() as recorder:
        ended = await index(tmp_path, SIDECAR_URL=recorder.url)
    assert len(ended.result["kinds"]) <= 12
    assert sum(ended.result["kinds"].values()) == 100
    assert all(len(items) <= 12 for items in recorder.said("items"))


async def test_a_file_name_that_is_no_text_is_reported_all_the_same(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"x")
    async with recording() as recorder:
        ended = await index(tmp_path, SIDECAR_URL=recorder.url)
    assert (ended.code, ended.err) == (0, "")
    assert recorder.reports[-1]["result"]["largest"] == [{"name": "caf?.txt", "bytes": 1}]


async def test_an_empty_tree_completes(tmp_path: Path) -> None:
    async with recording() as recorder:
        ended = await index(tmp_path, SIDECAR_URL=recorder.url)
    assert (ended.code, ended.result["files"]) == (0, 0)
    assert recorder.said("stage") == ["scanning", "hashing", "summarising"]


async def test_the_token_is_sent(tree: Path) -> None:
    async with recording() as recorder:
        await index(tree, SIDECAR_URL=recorder.url, SIDECAR_TOKEN="a-secret-of-sixteen")
    assert {headers["Authorization"] for headers in recorder.headers} == {"Bearer a-secret-of-sixteen"}


async def test_a_cancelled_job_ends_early_and_says_so(tree: Path) -> None:
    def cancel_while_hashing(reports: list[Report]) -> web.Response:
        return web.json_response({"cancel_requested": reports[-1].get("stage") == "hashing"})

    async with recording(cancel_while_hashing) as recorder:
        ended = await index(tree, SIDECAR_URL=recorder.url)
    assert (ended.code, ended.out) == (CANCELLED, "")
    assert recorder.reports[-1]["status"] == "cancelled"
    assert recorder.said("stage") == ["scanning", "hashing"]


async def test_a_paused_job_says_so_gives_signs_of_life_and_goes_on_when_it_may(tree: Path) -> None:
    def pause_until_a_sign_of_life(reports: list[Report]) -> web.Response:
        has_paused = any(report.get("status") == "paused" for report in reports)
        is_sign_of_life = set(reports[-1]) == {"writer", "seq"}
        is_wanted = not is_sign_of_life if has_paused else reports[-1].get("stage") == "hashing"
        is_over = any(set(report) == {"writer", "seq"} for report in reports)
        return web.json_response({"pause_requested": is_wanted and not is_over})

    async with recording(pause_until_a_sign_of_life) as recorder:
        ended = await index(tree, SIDECAR_URL=recorder.url)
    assert ended.code == 0
    assert recorder.said("status") == ["paused", "running", "completed"]
    assert is_right(recorder.reports[-1]["result"])


async def test_a_paused_job_can_be_cancelled(tree: Path) -> None:
    def pause_then_cancel(reports: list[Report]) -> web.Response:
        is_paused = reports[-1].get("status") == "paused"
        return web.json_response({"pause_requested": True, "cancel_requested": is_paused})

    async with recording(pause_then_cancel) as recorder:
        ended = await index(tree, SIDECAR_URL=recorder.url)
    assert ended.code == CANCELLED
    assert recorder.said("status") == ["paused", "cancelled"]


async def test_the_wish_to_slow_down_is_obeyed(tree: Path) -> None:
    def slow_down(_: list[Report]) -> web.Response:
        return web.json_response({"next_update_after_seconds": 0.7})

    async with recording(slow_down) as recorder:
        ended = await index(tree, "--slow", "0.3", SIDECAR_URL=recorder.url)
    assert ended.code == 0
    assert len(recorder.gaps) >= 3
    assert min(recorder.gaps) > 0.6


async def test_updates_come_five_times_a_second_at_most(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"{number}.txt").write_bytes(b"x")
    async with recording() as recorder:
        await index(tmp_path, "--slow", "0.01", SIDECAR_URL=recorder.url)
    hashing = [report for report in recorder.reports if report.get("stage") == "hashing"]
    assert len(hashing) > 3
    early = [gap for gap in recorder.gaps if gap < 0.19]
    assert len(early) <= 6, "the beginning and the end of a stage, and of the job, are told at once"


async def test_a_sidecar_that_is_away_does_not_stop_the_work(tree: Path) -> None:
    ended = await index(tree, "--patience", "0", SIDECAR_URL=f"http://127.0.0.1:{free_port()}")
    assert ended.code == 0
    assert is_right(ended.result)
    assert "ConnectionRefusedError" in ended.err


@pytest.mark.parametrize(
    "useless",
    [
        lambda: web.json_response({"title": "later"}, status=503),
        lambda: web.Response(text="<html>a proxy's page</html>"),
        lambda: web.json_response(["no", "object"]),
        lambda: web.json_response({"next_update_after_seconds": None}),
    ],
    ids=["unavailable", "no-json", "no-object", "no-number"],
)
async def test_what_a_failing_sidecar_missed_is_told_when_it_is_back(
    tree: Path, useless: Callable[[], web.Response]
) -> None:
    def useless_at_first(reports: list[Report]) -> web.Response:
        return useless() if len(reports) < 3 else accepted(reports)

    async with recording(useless_at_first) as recorder:
        ended = await index(tree, SIDECAR_URL=recorder.url)
    assert ended.code == 0
    last = recorder.reports[-1]
    assert (last["status"], last["stage"], last["job_type"]) == ("completed", "summarising", "index-tree")
    assert is_right(last["result"])
    assert last["items"] == {"py": 2, "txt": 3, "so": 1, "other": 2}
    assert [report["seq"] for report in recorder.reports] == [1, 2, 3]


async def test_work_that_fails_is_reported_with_what_went_wrong(tmp_path: Path) -> None:
    async with recording() as recorder:
        ended = await index(tmp_path / "nowhere", SIDECAR_URL=recorder.url)
    assert ended.code == 1
    assert "FileNotFoundError" in ended.err
    last = recorder.reports[-1]
    assert last["status"] == "failed"
    assert last["error"]["type"] == "FileNotFoundError"
    assert "nowhere" in last["error"]["message"]
    assert last["error"]["context"] == {"path": str(tmp_path / "nowhere")}
    assert last["error"]["stack"].startswith("Traceback")


async def test_the_sidecar_itself_shows_the_indexed_tree(tree: Path, tmp_path: Path) -> None:
    settings = Settings(listen_port=0, data_dir=tmp_path / "data")
    async with serving(settings) as served, ClientSession(served.url) as client:
        ended = await index(tree, "--job-id", "index-1", "--slow", "0.05", SIDECAR_URL=served.url)
        async with client.get("/v1/jobs/index-1") as response:
            job = await response.json()
    assert (ended.code, ended.err) == (0, "")
    assert (job["status"], job["percent"], job["job_type"]) == ("completed", 100, "index-tree")
    assert [(stage["name"], stage["status"]) for stage in job["stages"]] == [
        ("scanning", "completed"),
        ("hashing", "completed"),
        ("summarising", "completed"),
    ]
    assert job["result"] == ended.result
    assert job["items"]["py"] == 2


async def test_the_sidecar_itself_passes_on_that_a_job_is_to_be_cancelled(tree: Path, tmp_path: Path) -> None:
    settings = Settings(listen_port=0, data_dir=tmp_path / "data")
    async with serving(settings) as served, ClientSession(served.url) as client:
        async with client.post("/v1/jobs/index-1", json={"job_type": "index-tree", "status": "queued"}):
            pass
        async with client.post("/v1/jobs/index-1/cancel") as response:
            assert response.status == 200
        ended = await index(tree, "--job-id", "index-1", SIDECAR_URL=served.url)
        async with client.get("/v1/jobs/index-1") as response:
            job = await response.json()
    assert ended.code == CANCELLED
    assert (job["status"], job["stage"]) == ("cancelled", "scanning")
