"""`sidecar export` and `sidecar import`, from one data directory to another."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from tests.running import DEADLINE_SECONDS, environment, push, running


async def test_an_export_that_is_imported_is_exported_again_byte_by_byte(tmp_path: Path, client: ClientSession) -> None:
    async with running(tmp_path / "one") as sidecar:
        for number in range(12):
            name = f"job-{number}"
            await push(client, sidecar.url, name, writer="w", seq=1, stage="load", add={"items": {"rows": number}})
            await push(client, sidecar.url, name, stage="solve", current=1, metadata={"text": "é\u2028\u0000"})
            if number % 3 == 0:
                await push(client, sidecar.url, name, status="failed", error={"message": "no"})
            if number % 6 == 0:
                await push(client, sidecar.url, name, attempt=2)
        before = await attempts(client, sidecar.url)
        await sidecar.stopped()
    first, second = tmp_path / "first", tmp_path / "second"
    await carried("export", tmp_path / "one", first)
    await carried("import", tmp_path / "two", first)
    await carried("import", tmp_path / "two", first)
    await carried("export", tmp_path / "two", second)
    assert first.read_bytes().count(b'"kind":"job"') == 12
    assert first.read_bytes() == second.read_bytes()
    async with running(tmp_path / "two") as sidecar:
        assert (await push(client, sidecar.url, "job-1", writer="w", seq=1, stage="load", add={"items": {"rows": 1}}))[
            "reason"
        ] == "duplicate"
        assert await attempts(client, sidecar.url) == before


async def test_what_is_no_export_is_told_by_line(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text('{"kind":"progress-sidecar export","format":1}\n{"kind":"job"\n')
    code, errors = await command("import", tmp_path, tmp_path / "bad")
    assert (code, "line 2" in errors, "Traceback" in errors) == (1, True, False)


async def attempts(client: ClientSession, url: str) -> list[dict[str, Any]]:
    async with client.get(f"{url}/v1/jobs/job-6/attempts") as response:
        assert response.status == 200, await response.text()
        return list((await response.json())["attempts"])


async def carried(name: str, data_dir: Path, file: Path) -> None:
    code, errors = await command(name, data_dir, file)
    assert (code, errors.replace("12 jobs imported\n", "")) == (0, "")


async def command(name: str, data_dir: Path, file: Path) -> tuple[int | None, str]:
    """Run a command of the program on a data directory and a file."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "sidecar", name, str(file)),
        env=environment(data_dir=data_dir),
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS)
    return process.returncode, errors.decode()
