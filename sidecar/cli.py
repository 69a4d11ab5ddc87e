"""The command `sidecar`. Exit codes: 0 as asked, 2 bad settings or arguments, 1 anything else."""

import asyncio
import http.client
import os
import sys
from collections.abc import Coroutine
from contextlib import aclosing
from typing import BinaryIO
from urllib.parse import urlsplit

import click

from sidecar import __version__, app, backup, log
from sidecar import demo as workers
from sidecar.core.errors import SidecarError
from sidecar.environment import VARIABLES, load
from sidecar.settings import BadSettings, Settings, tokens_in_force

HEALTHCHECK_TIMEOUT_SECONDS = 3
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to find what listens everywhere


@click.group(name="sidecar", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sidecar")
def main() -> None:
    """Take the progress of jobs over HTTP, and show it live. Settings are environment variables: SIDECAR_..."""


@main.command()
def serve() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    sys.exit(app.run(_settings()))


@main.command()
def check_config() -> None:
    """Print the settings in force, without secrets."""
    settings = _settings()
    for variable, field in VARIABLES.items():
        click.echo(f"{variable}={_shown(settings, field)}")


@main.command()
def healthcheck() -> None:
    """Ask the running sidecar whether it lives: exit code 0 or 1."""
    settings = _settings()
    host, port = settings.listen_host, settings.listen_port
    if settings.ops_port is not None:
        host, port = settings.ops_host, settings.ops_port
    is_healthy, told = _health(ANY_ADDRESS.get(host, host), port)
    click.echo(told, err=not is_healthy)
    sys.exit(0 if is_healthy else 1)


@main.command()
@click.option("--url", envvar="SIDECAR_URL", default="http://127.0.0.1:8650", show_default=True, show_envvar=True)
@click.option("--token", envvar="SIDECAR_TOKEN", help="A token of a worker, if tokens are needed.", show_envvar=True)
@click.option("--seconds", type=click.FloatRange(min=0), help="For how long; until Ctrl-C if not given.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed plays the same jobs.")
@click.option("--speed", type=click.FloatRange(min=0.01), default=1.0, show_default=True, help="How fast jobs work.")
def demo(url: str, token: str | None, seconds: float | None, seed: int, speed: float) -> None:
    """Play workers for a running sidecar: jobs of several types, some of which fail or stall on purpose."""
    sys.exit(workers.run(url, token or None, seconds=seconds, seed=seed, speed=speed))


@main.command(name="export")
@click.argument("file", type=click.File("wb"), default="-")
def export_all(file: BinaryIO) -> None:
    """Write all jobs and timelines as lines of JSON. A sidecar with embedded stores must not run meanwhile."""

    async def write() -> None:
        async with aclosing(backup.exported(_settings())) as parts:
            async for lines in parts:
                file.write(lines)

    _run(write())


@main.command(name="import")
@click.argument("file", type=click.File("rb"), default="-")
def import_all(file: BinaryIO) -> None:
    """Join an export into what is there. A sidecar with embedded stores must not run meanwhile."""

    async def read() -> None:
        click.echo(f"{await backup.imported(_settings(), file)} jobs imported", err=True)

    _run(read())


def _run(work: Coroutine[None, None, None]) -> None:
    log.configure("error", "console", sys.stderr)
    try:
        asyncio.run(work)
    except (SidecarError, OSError) as error:
        click.echo(f"sidecar: {error}", err=True)
        sys.exit(1)


def _settings() -> Settings:
    try:
        return load(os.environ)
    except BadSettings as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        sys.exit(2)


def _health(host: str, port: int) -> tuple[bool, str]:
    connection = http.client.HTTPConnection(host, port, timeout=HEALTHCHECK_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return False, f"no answer from {host} port {port}: {error}"
    finally:
        connection.close()
    return status == http.client.OK, f"{host} port {port} answered {status}"


def _shown(settings: Settings, field: str) -> str:
    """Return what may be printed of a setting: as it is in force, a secret only as something that is there."""
    match field:
        case "redis_url" | "database_url":
            return _without_password(getattr(settings, field)) or "(embedded)"
        case "database_read_url":
            return _without_password(settings.database_read_url)
        case "auth":
            return "tokens" if settings.is_token_required else "none"
        case "tokens":
            return f"({len(tokens_in_force(settings))} in force)"
        case "metrics_token" | "secret_key":
            return "(set)" if getattr(settings, field) else ""
        case _:
            value = getattr(settings, field)
            return "" if value is None else str(value)


def _without_password(url: str | None) -> str:
    if url is None:
        return ""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
