"""The seed of a run is told, however it goes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.telling import time_taken

ROOT = Path(__file__).parents[2]
SEED = 4711

COURSES = """
    import asyncio
    import pytest
    @pytest.fixture
    def broken(account):
        account.parts.append("kill set-up: 3 requests in flight")
        raise RuntimeError
    def test_green(account):
        account.parts.append("kill green: 3 requests in flight")
    def test_red(account):
        account.parts.append("kill red: 3 requests in flight")
        assert False
    def test_set_up(broken):
        pass
    async def test_timeout(account):
        account.parts.append("kill timeout: 3 requests in flight")
        await asyncio.Event().wait()
    """


def run(home: Path, source: str, *options: str, seed: int | None = SEED) -> str:
    """Run a test of this source under pytest and return what it printed."""
    lines = source.splitlines()[1:]
    margin = len(lines[0]) - len(lines[0].lstrip())
    test = home / "test_it.py"
    test.write_text("\n".join(line[margin:] for line in lines))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("FAULTS", "PYTEST"))}
    done = subprocess.run(  # noqa: S603 - ours
        [
            *(sys.executable, "-m", "pytest", test, "--timeout=2", "-o", "asyncio_mode=auto"),
            *("-p", "tests.faults.telling", "-p", "no:cacheprovider", "-p", "no:cov", "-p", "no:valkey"),
            *("-p", "no:cloudcoil", *options),
        ],
        cwd=ROOT,
        env=environment | ({} if seed is None else {"FAULTS_SEED": str(seed)}),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_run_tells_its_seed_and_its_faults_however_a_test_ends(tmp_path: Path) -> None:
    said = run(tmp_path, COURSES, "-n", "1")
    assert said.count(f"FAULTS_SEED={SEED}") == 2, said
    for course in ("green", "red", "set-up", "timeout"):
        assert f"  kill {course}: 3 requests in flight" in said.splitlines(), said
    assert "2 failed, 1 passed, 1 error" in said, said


def test_quiet_run_tells_its_seed_and_its_faults_too(tmp_path: Path) -> None:
    said = run(tmp_path, COURSES, "-q", "-k", "green")
    assert f"FAULTS_SEED={SEED}" in said
    assert "  kill green: 3 requests in flight" in said.splitlines(), said


def test_without_a_seed_given_the_one_that_is_drawn_is_that_of_every_worker(tmp_path: Path) -> None:
    source = """
        import os
        import pytest
        @pytest.mark.parametrize("_", range(4))
        def test_it(account, _):
            account.parts.append("FAULTS_SEED=" + os.environ["FAULTS_SEED"])
        """
    said = run(tmp_path, source, "-n", "2", seed=None)
    seeds = [line.strip() for line in said.splitlines() if line.strip().startswith("FAULTS_SEED=")]
    assert (len(seeds), len(set(seeds))) == (6, 1), said


def report(nodeid: str, start: float, stop: float) -> pytest.TestReport:
    return pytest.TestReport(nodeid, (nodeid, 0, nodeid), {}, "passed", None, "call", start=start, stop=stop)


def test_time_is_that_of_the_fault_tests_from_the_first_to_the_last() -> None:
    reports = [
        report("tests/faults/test_a.py::test", 100.0, 130.0),
        report("tests/faults/test_b.py::test", 110.0, 171.0),
        report("tests/core/test_c.py::test", 1.0, 900.0),
    ]
    assert list(time_taken(reports)) == ["fault tests: 71 s, of 180 s that they may take"]
    assert list(time_taken(reports[2:])) == []
