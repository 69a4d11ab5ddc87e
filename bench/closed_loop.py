"""What posting and polling cost, against requests/s of a bare aiohttp that answers and does nothing else."""

from dataclasses import dataclass

import servers
from client import Client, Result
from table import Table, middle, milliseconds, ratios, spread, total

CONNECTIONS = 64
FEW = 100


@dataclass(frozen=True, slots=True)
class Row:
    """One thing to measure."""

    name: str
    phases: str
    connections: int
    jobs: int


ROWS = (
    Row("single pushes, 1,000 random jobs, 64 connections", "loop", CONNECTIONS, 1_000),
    Row("single pushes, one hot job, 64 connections", "loop", CONNECTIONS, 1),
    Row("batches of 100, 1,000 random jobs, 4 connections", "loopx100", 4, 1_000),
    Row("batches of 100, 50 random jobs, 4 connections", "loopx100", 4, 50),
    Row("batches of 1,000, 1,000 random jobs, 4 connections", "loopx1000", 4, 1_000),
    Row("batches of 1,000, 50 random jobs, 4 connections", "loopx1000", 4, 50),
)


MANY = 1_000
POLLS = (
    ("one job, 1 connection", 1, 1),
    ("one job, 64 connections", CONNECTIONS, 1),
    ("1,000 random jobs, 64 connections", CONNECTIONS, MANY),
    ("1,000 random jobs, 512 connections", 512, MANY),
)
"""What polls, how many at a time, and how many jobs."""


def _per_second(result: Result) -> float:
    return float(result["updates_per_second"])


def pushes(client: Client, rounds: int) -> Table:
    """Measure pushes in a closed loop; for batches, too, the reference is a request for each update."""
    table = Table(
        "Pushes",
        ("updates/s", "bare aiohttp, single requests/s", "ratio", "p50 / p99 ms of a request", "spread", "failures"),
    )
    table.begin()
    with servers.bare() as bare, servers.sidecar() as ours:
        for row in ROWS:
            theirs, mine = [], []
            client.run("push", ours, "fill", jobs=row.jobs)
            for _ in range(rounds):
                theirs += client.run("echo", bare, "loop", connections=CONNECTIONS)
                mine += client.run("push", ours, row.phases, connections=row.connections, jobs=row.jobs)
            _add(table, row.name, mine, theirs)
    return table


def reads(client: Client, rounds: int) -> Table:
    """Measure clients that poll jobs in a closed loop."""
    table = Table(
        "Reads",
        ("requests/s", "bare aiohttp", "ratio", "p50 / p99 ms of a request", "spread", "failures"),
    )
    table.begin()
    with servers.bare() as bare, servers.sidecar() as ours:
        client.run("push", ours, "fill", jobs=MANY)
        for name, connections, jobs in POLLS:
            theirs, mine = [], []
            for _ in range(rounds):
                theirs += client.run("echo", bare, "loop", connections=connections)
                mine += client.run("read", ours, "loop", connections=connections, jobs=jobs)
            _add(table, name, mine, theirs)
    return table


def growth(client: Client, rounds: int, many_jobs: int) -> Table:
    """Measure whether a push costs more where many jobs are kept."""
    table = Table(
        f"Growth: single pushes with {many_jobs:,} jobs in the store beside {FEW:,}",
        ("updates/s", f"with {FEW:,}", "ratio", "p50 / p99 ms of a request", "spread", "failures"),
    )
    table.begin()
    with servers.sidecar() as small, servers.sidecar() as large:
        filled = client.run("push", small, "fillx100", jobs=FEW) + client.run(
            "push", large, "fillx1000", jobs=many_jobs
        )
        few, many = [], []
        for _ in range(rounds):
            few += client.run("push", small, "loop", connections=CONNECTIONS, jobs=FEW)
            many += client.run("push", large, "loop", connections=CONNECTIONS, jobs=many_jobs)
        _add(table, f"{many_jobs:,} jobs, written at {_per_second(filled[1]):,.0f}/s", many, few)
    return table


def _add(table: Table, name: str, mine: list[Result], theirs: list[Result]) -> None:
    rate, reference = middle(mine, "updates_per_second"), middle(theirs, "updates_per_second")
    ratio, failures = ratios(mine, theirs, _per_second), total(mine, "failures")
    table.row(
        name,
        f"{rate:,.0f}",
        f"{reference:,.0f}",
        f"{ratio:.2f}",
        milliseconds(mine, "push", "50", "99"),
        spread(map(_per_second, mine)),
        str(failures),
        updates_per_second=rate,
        reference=reference,
        ratio=ratio,
        p50_us=middle(mine, "push_p50_us"),
        p99_us=middle(mine, "push_p99_us"),
        failures=failures,
    )
