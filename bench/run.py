"""`make bench`: the whole product on one core, the load on another, every row as a ratio to bare aiohttp.

Tokens, metrics, deduplication and the embedded Valkey with its fsync are on. Rounds are interleaved, so that a noisy
machine is noisy to both sides; medians are shown with the spread of the rounds. Needs a C compiler.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import burdens
import client
import closed_loop
import deliveries
import scrapes
from client import Client
from servers import Broken
from table import Table

SPARE_FILES = 500
Section = Callable[[Client, int], Table]


def sections(path: str, projects_path: str, idle_streams: int, many_jobs: int) -> dict[str, list[Section]]:
    """Return what there is to measure, by name."""
    return {
        "limits": [burdens.limits],
        "pushes": [closed_loop.pushes],
        "reads": [closed_loop.reads],
        "growth": [partial(closed_loop.growth, many_jobs=many_jobs)],
        "latency": [partial(deliveries.latency, path=path)],
        "deliveries": [partial(deliveries.project, path=path, watchers=watchers) for watchers in deliveries.OFFERED],
        "projects": [partial(deliveries.projects, path=projects_path)],
        "memory": [partial(burdens.memory, path=path, streams=idle_streams)],
        "scrapes": [scrapes.scrapes],
        "stuck": [partial(burdens.stuck, path=path)],
    }


def arguments() -> argparse.Namespace:
    """Read the command line."""
    names = list(sections("", "", 0, 0))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement in a round")
    parser.add_argument("--only", default="", help=f"some of {','.join(names)}")
    parser.add_argument("--path", default=deliveries.PROJECT_PATH, help="what watchers of one project ask for")
    parser.add_argument("--projects-path", default=deliveries.PROJECTS_PATH, help="and of one project each")
    parser.add_argument("--idle-streams", type=int, default=10_000, help="whose memory and time are measured")
    parser.add_argument("--many-jobs", type=int, default=100_000, help="in the store while growth is measured")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the numbers as well")
    asked = parser.parse_args()
    if unknown := set(filter(None, asked.only.split(","))) - set(names):
        parser.error(f"--only: no such section: {', '.join(sorted(unknown))}")
    return asked


def raise_file_limit() -> int:
    """Allow this process, and those that it starts, all the files that they may have; return how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def measure(wanted: list[Section], own: Client, rounds: int) -> tuple[list[Table], list[str]]:
    """Print a table for each section, and return them with what went wrong in those that broke off."""
    tables, problems = [], []
    for section in wanted:
        began = time.monotonic()
        try:
            tables.append(section(own, rounds))
        except Broken as error:
            problems.append(str(error))
            print(f"\nbroken off: {error}")
        print(f"\nin {time.monotonic() - began:.0f} s", flush=True)
    return tables, problems


def main() -> int:
    """Build the client and measure what is asked for."""
    asked = arguments()
    began = time.monotonic()
    streams = min(asked.idle_streams, raise_file_limit() - SPARE_FILES)
    known = sections(asked.path, asked.projects_path, streams, asked.many_jobs)
    names = [name for name in asked.only.split(",") if name] or list(known)
    wanted = [section for name in names for section in known[name]]
    with tempfile.TemporaryDirectory(prefix="sidecar-bench-") as folder:
        own = Client(client.build(Path(folder)), asked.seconds)
        tables, problems = measure(wanted, own, asked.rounds)
    print(f"\nTook {time.monotonic() - began:.0f} s: {asked.rounds} rounds of {asked.seconds} s.")
    if asked.json:
        asked.json.write_text(json.dumps({table.title: table.numbers for table in tables}, indent=2) + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
