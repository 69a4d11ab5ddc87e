"""What a run of the fault tests says of itself, whatever becomes of it: its seed, its time, and each fault."""

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest
from typing_extensions import override

from tests.faults.plan import SEED_VARIABLE, chosen_seed

PROPERTY = "faults"
FOLDER = "tests/faults/"
MOST_SECONDS = 180
"""The fault tests are to take less than that, with two processors of their own."""


class Account:
    """Of what befell a test; each part is asked what it has to say when the test is over, also if it broke off."""

    def __init__(self) -> None:
        self.parts: list[object] = []

    @override
    def __str__(self) -> str:
        return "\n".join(map(str, self.parts))


@pytest.fixture
def account(request: pytest.FixtureRequest) -> Iterator[Account]:
    """Return where a test puts what is to be told of it at the end of the run."""
    told = Account()
    yield told
    request.node.user_properties.append((PROPERTY, str(told)))


def pytest_configure() -> None:
    """Choose one seed for the whole run: the workers that it starts inherit it."""
    os.environ[SEED_VARIABLE] = str(chosen_seed())


def pytest_report_header() -> str:
    """Tell the seed before anything happens."""
    return _seed()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell the seed again, and what happened to each test."""
    told: dict[str, list[str]] = {}
    reports = [each for reports in terminalreporter.stats.values() for each in reports]
    for report in reports:
        said = [text for name, text in getattr(report, "user_properties", ()) if name == PROPERTY]
        told |= {report.nodeid: said} if said else {}
    if told:
        terminalreporter.section(PROPERTY)
    terminalreporter.write_line(_seed())
    for line in time_taken([each for each in reports if isinstance(each, pytest.TestReport)]):
        terminalreporter.write_line(line)
    for test, texts in told.items():
        terminalreporter.write_line(test)
        for line in (line for text in texts for line in text.splitlines()):
            terminalreporter.write_line(f"  {line}")


def time_taken(reports: Sequence[pytest.TestReport]) -> Iterator[str]:
    """Yield how long the fault tests took, from the first to the last, also where others ran beside them."""
    ours = [each for each in reports if each.nodeid.startswith(FOLDER)]
    if ours:
        seconds = max(each.stop for each in ours) - min(each.start for each in ours)
        yield f"fault tests: {seconds:.0f} s, of {MOST_SECONDS} s that they may take"


def clock_time() -> str:
    """Return what time it is, as the sidecar's log tells it."""
    return datetime.now(UTC).strftime("%H:%M:%S.%f")[:-3]


def _seed() -> str:
    return f"{SEED_VARIABLE}={os.environ[SEED_VARIABLE]}"
