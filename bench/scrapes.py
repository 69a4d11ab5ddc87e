"""What a scrape takes with many unfinished jobs, and how long everybody else waits meanwhile."""

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import servers
from client import Client
from servers import Server
from table import Table, spread

JOBS = 100_000
JOBS_A_BATCH = 5_000
TYPES = 40
SCRAPES = 5
RECORDED_SECONDS = 120.0
"""How long the history may take to learn of all jobs: what is measured is a scrape, not that."""

PAUSE_SECONDS = 0.003


def scrapes(_: Client, rounds: int) -> Table:
    """Measure scrapes of a sidecar with many unfinished jobs."""
    table = Table(f"A scrape with {JOBS:,} unfinished jobs", ("ms", "spread", "longest wait of others, ms", "KiB"))
    table.begin()
    with servers.sidecar() as server:
        _fill(server)
        took, waited, size = [], [], 0
        for _number in range(rounds * SCRAPES):
            with _waits(server) as waits:
                began = time.perf_counter()
                size = len(_ask(server, "/metrics"))
                took.append(1000 * (time.perf_counter() - began))
            waited.append(1000 * max(waits))
    table.row(
        "500 of them with series of their own",
        f"{sorted(took)[len(took) // 2]:.0f}",
        spread(took),
        f"{max(waited):.0f}",
        f"{size / 1024:.0f}",
        milliseconds=sorted(took)[len(took) // 2],
        longest_wait_milliseconds=max(waited),
    )
    return table


def _fill(server: Server) -> None:
    for start in range(0, JOBS, JOBS_A_BATCH):
        lines = [
            json.dumps({"job_id": f"j{number}", "job_type": f"t{number % TYPES}", "current": 1, "total": 9})
            for number in range(start, start + JOBS_A_BATCH)
        ]
        _ask(server, "/v1/updates", "\n".join(lines).encode())
    gives_up_at = time.monotonic() + RECORDED_SECONDS
    while b"\nprogress_outbox_length 0.0" not in _ask(server, "/metrics"):
        if time.monotonic() > gives_up_at:
            raise servers.Broken("the history has not learnt of all jobs in time")
        time.sleep(0.5)


def _ask(server: Server, path: str, body: bytes | None = None) -> bytes:
    headers = {"Authorization": f"Bearer {servers.TOKEN}", "Content-Type": "application/x-ndjson"}
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", body, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return bytes(answer.read())


@contextmanager
def _waits(server: Server) -> Iterator[list[float]]:
    """Ask for something small again and again meanwhile; keep how long each answer took (seconds)."""
    waits: list[float] = [0.0]
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.wait(PAUSE_SECONDS):
            began = time.perf_counter()
            _ask(server, "/healthz")
            waits.append(time.perf_counter() - began)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield waits
    finally:
        is_over.set()
        asking.join()
