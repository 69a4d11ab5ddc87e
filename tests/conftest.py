from collections.abc import AsyncIterator, Generator

import pytest
from aiohttp import ClientSession

pytest_plugins = ["tests.faults.telling"]

pytest.register_assert_rewrite("tests.adapters.contract_live_store")


@pytest.fixture
async def client() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


def _failed_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    """A test that did not run shows nothing: let nobody take it for a green one."""
    if report.outcome != "skipped":
        return
    why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    why = vars(report).pop("wasxfail", why)  # pytest forgives a failure that has it
    report.outcome = "failed"
    report.longrepr = f"skipped, which counts as failed here: {why}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _failed_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _failed_if_skipped(report)
    return report
