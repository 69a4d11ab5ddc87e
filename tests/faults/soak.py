"""Faults of every kind for as long as is wanted: `python -m tests.faults.soak --minutes 60`."""

import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click

from tests.faults.campaign import Report, campaign, embedded_campaign
from tests.faults.plan import Fault, chosen_seed, endless, endless_embedded, seeded
from tests.faults.world import Conditions

MOST_PAUSE_SECONDS = 8.0


@click.command()
@click.option("--minutes", type=float, default=10.0, show_default=True, help="How long faults go on.")
@click.option("--seed", type=int, default=chosen_seed, help="Repeats a run; FAULTS_SEED or a new one without.")
@click.option("--sidecars", type=int, default=2, show_default=True, help="Of which the first one suffers.")
@click.option("--embedded", is_flag=True, help="One sidecar, with a Valkey and an SQLite of its own.")
def main(minutes: float, seed: int, sidecars: int, *, embedded: bool) -> None:
    """Lead a deployment through random faults; exit with 1 if anything acknowledged was lost."""
    click.echo(f"FAULTS_SEED={seed}")
    report = asyncio.run(soak_embedded(minutes, seed) if embedded else soak(minutes, seed, sidecars))
    click.echo(str(report))
    sys.exit(1 if report.violations else 0)


async def soak(minutes: float, seed: int, sidecars: int) -> Report:
    """Return what was found."""
    with tempfile.TemporaryDirectory(prefix="sidecar-soak-") as home:
        async with campaign(Path(home), seed, Conditions(sidecars=sidecars)) as under_way:
            await under_way.run(_for(minutes, endless(seeded(seed))), click.echo, MOST_PAUSE_SECONDS)
        return under_way.report


async def soak_embedded(minutes: float, seed: int) -> Report:
    """Return what was found with embedded stores."""
    with tempfile.TemporaryDirectory(prefix="sidecar-soak-") as home:
        async with embedded_campaign(Path(home), seed) as (under_way, _):
            await under_way.run(_for(minutes, endless_embedded(seeded(seed))), click.echo, MOST_PAUSE_SECONDS)
        return under_way.report


def _for(minutes: float, faults: Iterator[Fault]) -> Iterator[Fault]:
    deadline = time.monotonic() + 60 * minutes
    return itertools.takewhile(lambda _: time.monotonic() <= deadline, faults)


if __name__ == "__main__":
    main()
