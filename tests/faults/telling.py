"""What a run of the fault tests says of itself, whatever becomes of it: its seed, and each fault that happened."""

import os
from collections.abc import Iterator

import pytest
from typing_extensions import override

from tests.faults.plan import SEED_VARIABLE, chosen_seed

PROPERTY = "faults"


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
    for report in (each for reports in terminalreporter.stats.values() for each in reports):
        said = [text for name, text in getattr(report, "user_properties", ()) if name == PROPERTY]
        told |= {report.nodeid: said} if said else {}
    if told:
        terminalreporter.section(PROPERTY)
    terminalreporter.write_line(_seed())
    for test, texts in told.items():
        terminalreporter.write_line(test)
        for line in (line for text in texts for line in text.splitlines()):
            terminalreporter.write_line(f"  {line}")


def _seed() -> str:
    return f"{SEED_VARIABLE}={os.environ[SEED_VARIABLE]}"
