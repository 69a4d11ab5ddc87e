import asyncio
import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from typing_extensions import override

from sidecar.log import ConsoleFormatter, JsonFormatter, bound, configure


class Terminal(io.StringIO):
    @override
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _root_logger_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.getLogger("sidecar").setLevel(logging.NOTSET)
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


def record(message: str = "the store is slow", **fields: object) -> logging.LogRecord:
    line = logging.LogRecord("sidecar.app", logging.WARNING, "app.py", 1, message, (), None)
    line.created = 1_700_000_000.25
    line.fields = fields
    return line


def crash() -> logging.LogRecord:
    line = record("a loop crashed")
    error = RuntimeError("two\n2023-11-14T22:13:20Z error forged: lines")
    line.exc_info = (RuntimeError, error, None)
    return line


def as_json(line: logging.LogRecord) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(JsonFormatter().format(line))
    return parsed


@pytest.mark.parametrize(("level", "told"), [("debug", ["ours"]), ("info", []), ("error", [])])
def test_debug_lines_are_ours_alone_as_libraries_tell_what_jobs_hold(
    level: Literal["debug", "info", "error"], told: list[str]
) -> None:
    stream = io.StringIO()
    configure(level, "json", stream)
    logging.getLogger("sidecar.app").debug("ours")
    logging.getLogger("aiosqlite").debug("executing INSERT ... ('what a job holds')")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == told


def test_json_line_has_time_level_logger_message_and_fields() -> None:
    assert as_json(record(seconds=0.8, project="uni")) == {
        "ts": "2023-11-14T22:13:20.250Z",
        "level": "warning",
        "logger": "sidecar.app",
        "message": "the store is slow",
        "fields": {"seconds": 0.8, "project": "uni"},
    }


def test_json_line_stays_json_whatever_the_fields_hold() -> None:
    fields = as_json(record(nan=float("nan"), inf=float("inf"), thing=ValueError("x"), text="a\nb\ud800", none=None))
    assert fields["fields"] == {"nan": "nan", "inf": "inf", "thing": "x", "text": "a\nb\ud800", "none": None}


def test_json_exception_holds_the_traceback_on_the_same_line() -> None:
    text = JsonFormatter().format(crash())
    assert "\n" not in text
    assert "RuntimeError: two" in json.loads(text)["exception"]


def test_console_line_quotes_values_that_are_not_one_word() -> None:
    assert ConsoleFormatter().format(record(code=7, why="it's full", said='"no"', empty="")) == (
        "2023-11-14T22:13:20.250Z warning sidecar.app: the store is slow"
        ' code=7 why="it\'s full" said="\\"no\\"" empty=""'
    )


@pytest.mark.parametrize("evil", ["a\nb", "a\rb", "\x1b[31m", "\x9b31m", "\u2028", "\u202e", "\x00"])
def test_console_line_cannot_be_forged_or_coloured(evil: str) -> None:
    assert ConsoleFormatter().format(record(evil, field=evil)).isprintable()


def test_console_traceback_is_indented_so_that_no_line_of_it_looks_like_a_record() -> None:
    first, *rest = ConsoleFormatter().format(crash()).split("\n")
    assert first.endswith("a loop crashed")
    assert all(line.startswith("    ") for line in rest)
    assert rest[-1].endswith("forged: lines")


def test_bound_fields_are_in_every_line_inside_and_none_outside() -> None:
    with bound(request_id="r1"):
        with bound(job_id="j1"):
            assert as_json(record(seconds=1))["fields"] == {"request_id": "r1", "job_id": "j1", "seconds": 1}
        assert as_json(record())["fields"] == {"request_id": "r1"}
    assert as_json(record())["fields"] == {}


async def test_bound_fields_of_one_task_are_not_in_the_lines_of_another() -> None:
    async def fields_of(request_id: str, barrier: asyncio.Barrier) -> Any:
        with bound(request_id=request_id):
            await barrier.wait()
            return as_json(record())["fields"]["request_id"]

    barrier = asyncio.Barrier(2)
    seen = await asyncio.gather(fields_of("a", barrier), fields_of("b", barrier))
    assert list(seen) == ["a", "b"]


@pytest.mark.parametrize(
    ("form", "stream", "is_json"),
    [
        (None, Terminal(), False),
        (None, io.StringIO(), True),
        ("json", Terminal(), True),
        ("console", io.StringIO(), False),
    ],
)
def test_form_follows_the_terminal_unless_it_is_told(
    form: Literal["console", "json"] | None, stream: io.StringIO, *, is_json: bool
) -> None:
    configure("info", form, stream)
    logging.getLogger("sidecar").info("hello")
    assert stream.getvalue().startswith("{") is is_json


def test_configured_twice_each_line_comes_once() -> None:
    stream = io.StringIO()
    configure("info", "console", stream)
    configure("info", "console", stream)
    logging.getLogger("sidecar").info("hello")
    assert stream.getvalue().count("hello") == 1


def test_lines_below_the_level_are_dropped() -> None:
    stream = io.StringIO()
    configure("warning", "json", stream)
    logging.getLogger("sidecar").info("quiet")
    logging.getLogger("sidecar").warning("loud")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["loud"]


def test_lines_of_aiohttp_and_warnings_of_python_have_the_same_form() -> None:
    stream = io.StringIO()
    configure("info", "json", stream)
    logging.getLogger("aiohttp.server").error("Error handling %s", "request")
    with warnings.catch_warnings():
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    loggers = [json.loads(line)["logger"] for line in stream.getvalue().splitlines()]
    assert loggers == ["aiohttp.server", "py.warnings"]
