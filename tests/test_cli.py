import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner, Result
from typing_extensions import override

from sidecar import __version__
from sidecar.cli import main
from sidecar.environment import VARIABLES

SECRET = "0123456789abcdef"


def run(*arguments: str, **environ: str) -> Result:
    unset = dict.fromkeys((name for name in os.environ if name.startswith("SIDECAR_")), None)
    return CliRunner().invoke(main, arguments, env={**unset, **environ})


class Health(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()

    @override
    def log_message(self, *_: object) -> None:
        """Say nothing on the test's own stderr."""


class Ill(Health):
    status = 503


@contextmanager
def answering(handler: type[Health]) -> Iterator[str]:
    """Serve on a free port of loopback and yield it."""
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield str(server.server_port)
        server.shutdown()
        thread.join()


def test_config_that_is_good_is_printed_with_every_setting() -> None:
    result = run("check-config")
    lines = dict(line.split("=", 1) for line in result.stdout.splitlines())
    assert result.exit_code == 0
    assert lines.keys() == VARIABLES.keys()
    assert (lines["SIDECAR_LISTEN_PORT"], lines["SIDECAR_AUTH"], lines["SIDECAR_OPS_PORT"]) == ("8650", "none", "")


def test_config_is_printed_without_its_secrets() -> None:
    result = run(
        "check-config",
        SIDECAR_TOKENS=f"admin:*:{SECRET}",
        SIDECAR_METRICS_TOKEN=f"{SECRET}-metrics",
        SIDECAR_REDIS_URL="redis://user:hidden@redis:6379/1?password=hidden",
    )
    assert result.exit_code == 0
    assert SECRET not in result.output
    assert "hidden" not in result.output
    assert "SIDECAR_REDIS_URL=redis://redis:6379/1\n" in result.stdout
    assert "SIDECAR_TOKENS=(1 in force)\n" in result.stdout
    assert "SIDECAR_AUTH=tokens\n" in result.stdout


def test_check_config_shows_no_secret() -> None:
    secrets = {name: f"hidden-hidden-{name}" for name in ("metrics_token", "secret_key")}
    urls = {name: f"postgresql://user:hidden@{name}.example/progress" for name in ("database_url", "database_read_url")}
    given = {f"SIDECAR_{name.upper()}": value for name, value in {**secrets, **urls}.items()}
    result = run("check-config", **given)
    assert result.exit_code == 0
    assert "hidden" not in result.output
    assert result.output.count("(set)") == len(secrets)
    assert all(f"//{name}.example/progress" in result.output for name in urls)


@pytest.mark.parametrize("command", ["check-config", "serve", "healthcheck"])
def test_bad_settings_end_with_2_and_each_is_named_on_stderr(command: str) -> None:
    result = run(command, SIDECAR_LISTEN_PORT="x", SIDECAR_LISTEN_HSOT="y")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert [line.partition(":")[0] for line in result.stderr.splitlines()] == [
        "SIDECAR_LISTEN_HSOT",
        "SIDECAR_LISTEN_PORT",
    ]


def test_healthcheck_of_a_living_sidecar_ends_with_0() -> None:
    with answering(Health) as port:
        result = run("healthcheck", SIDECAR_LISTEN_PORT=port)
    assert (result.exit_code, result.stdout) == (0, f"127.0.0.1 port {port} answered 200\n")


def test_healthcheck_asks_the_ops_listener_if_there_is_one() -> None:
    with answering(Health) as port:
        result = run("healthcheck", SIDECAR_OPS_HOST="0.0.0.0", SIDECAR_OPS_PORT=port)  # noqa: S104 - asked on loopback
    assert (result.exit_code, result.stdout) == (0, f"127.0.0.1 port {port} answered 200\n")


def test_healthcheck_of_an_ill_sidecar_ends_with_1() -> None:
    with answering(Ill) as port:
        result = run("healthcheck", SIDECAR_LISTEN_PORT=port)
    assert (result.exit_code, result.stderr) == (1, f"127.0.0.1 port {port} answered 503\n")


def test_healthcheck_without_a_sidecar_ends_with_1_and_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        result = run("healthcheck", SIDECAR_LISTEN_PORT=str(port))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"no answer from 127.0.0.1 port {port}: ")
    assert result.stderr.count("\n") == 1


def test_version_is_printed() -> None:
    assert run("--version").stdout == f"sidecar, version {__version__}\n"


def test_module_is_the_same_command() -> None:
    command = [sys.executable, "-m", "sidecar", "--version"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own command
    assert printed == f"sidecar, version {__version__}\n"
