"""Faults of every kind for as long as is wanted: `python -m tests.faults.soak --minutes 60`."""

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click

from tests.faults.campaign import Report, campaign
from tests.faults.plan import Fault, chosen_seed, endless, seeded
from tests.faults.world import Conditions

MOST_PAUSE_SECONDS = 8.0


@click.command()
@click.option("--minutes", type=float, default=10.0, show_default=True, help="How long faults go on.")
@click.option("--seed", type=int, default=chosen_seed, help="Repeats a run; FAULTS_SEED or a new one without.")
@click.option("--sidecars", type=int, default=2, show_default=True, help="Of which the first one suffers.")
def main(minutes: float, seed: int, sidecars: int) -> None:
    """Lead a deployment through random faults; exit with 1 if anything acknowledged was lost."""
    click.echo(f"FAULTS_SEED={seed}")
    report = asyncio.run(soak(minutes, seed, sidecars))
    click.echo(str(report))
    sys.exit(1 if report.violations else 0)


async def soak(minutes: float, seed: int, sidecars: int) -> Report:
    """Return what was found."""
    with tempfile.TemporaryDirectory(prefix="sidecar-soak-") as home:
        async with campaign(Path(home), seed, Conditions(sidecars=sidecars)) as under_way:
            await under_way.run(_until(time.monotonic() + 60 * minutes, seed), click.echo, MOST_PAUSE_SECONDS)
        return under_way.report


def _until(deadline: float, seed: int) -> Iterator[Fault]:
    for fault in endless(seeded(seed)):
        if time.monotonic() > deadline:
            return
        yield fault


if __name__ == "__main__":
    main()
