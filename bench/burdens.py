"""What streams cost that do not take anything: memory of idle ones, and the harm that one does which never reads."""

import time
from dataclasses import dataclass
from statistics import median

import servers
from client import Client, Result
from deliveries import jobs_of
from servers import Server
from table import Table, middle, milliseconds, spread

SAMPLE_SECONDS = 0.1
STUCK_SECONDS = 4.0
IDLE_SECONDS = 16.0
"""For which idle streams are left alone: long enough for a heartbeat to each."""
READY = "synced"
"""What a stream says when it has told its state: before that it is busy, not idle."""

MOST_ROUNDS = 2
"""Memory hardly varies, and takes long to measure."""

MEBIBYTE = 1 << 20


def memory(client: Client, rounds: int, path: str, streams: int) -> Table:
    """Measure what an idle stream takes."""
    columns = ("KiB a stream", "bare aiohttp, KiB", "ratio", "spread", "of a core, heartbeats included")
    table = Table(f"{streams:,} idle streams", columns)
    table.begin()
    mine, theirs = [], []
    for _ in range(min(rounds, MOST_ROUNDS)):
        with servers.bare() as bare:
            theirs.append(_idle(client, bare, "publish", streams, path="/stream"))
        with servers.sidecar() as ours:
            client.run("push", ours, "fill", jobs=1)
            mine.append(_idle(client, ours, "push", streams, path=path, ready=READY))
    ratio = median(one.kibibytes / other.kibibytes for one, other in zip(mine, theirs, strict=True))
    own, reference = (median(each.kibibytes for each in some) for some in (mine, theirs))
    busy = median(each.core_share for each in mine)
    cells = (f"{own:.1f}", f"{reference:.1f}", f"{ratio:.2f}", spread(each.kibibytes for each in mine), f"{busy:.1%}")
    numbers = {"kibibytes": own, "reference": reference, "ratio": ratio, "core_share": busy}
    table.row("the server's process: resident memory, time", *cells, **numbers)
    return table


@dataclass(frozen=True, slots=True)
class Idle:
    """What streams cost that are told nothing: memory of each, and time for all of them."""

    kibibytes: float
    core_share: float


def _idle(client: Client, server: Server, target: str, streams: int, **options: str) -> Idle:
    before = server.resident_bytes
    times = {"seconds": IDLE_SECONDS, "connections": 1, "streams": streams}
    with client.running(target, server, "idle", **times, **options) as running:
        began, spent, after = time.monotonic(), server.cpu_seconds, server.resident_bytes
        running.results()
        share = (server.cpu_seconds - spent) / (time.monotonic() - began)
    return Idle((after - before) / streams / 1024, share)


@dataclass(frozen=True, slots=True)
class Beside:
    """What a run was like for the watchers that read, and for the server."""

    result: Result
    grown_bytes: int


def stuck(client: Client, rounds: int, path: str) -> Table:
    """Measure what one watcher that never reads does to 100 that do."""
    table = Table(
        "100 watchers at 1,000 updates/s beside one that never reads",
        ("p50 / p99 ms", "events/s", "server's memory grew by, MiB", "streams lost"),
    )
    table.begin()
    alone, beside = [], []
    for _ in range(rounds):
        alone.append(_watched(client, path, 0))
        beside.append(_watched(client, path, 1))
    for name, runs in (("without it", alone), ("with it", beside)):
        results, grown = [run.result for run in runs], median(run.grown_bytes for run in runs) / MEBIBYTE
        lost = sum(int(result["lost_streams"]) for result in results)
        table.row(
            name,
            milliseconds(results, "event", "50", "99"),
            f"{middle(results, 'events_per_second'):,.0f}",
            f"{grown:.1f}",
            str(lost),
            p99_us=middle(results, "event_p99_us"),
            events_per_second=middle(results, "events_per_second"),
            grown_mebibytes=grown,
            lost_streams=lost,
        )
    return table


def _watched(client: Client, path: str, silent: int) -> Beside:
    options = {"streams": 100 + silent, "silent": silent, "jobs": jobs_of(path), "seconds": STUCK_SECONDS}
    with servers.sidecar() as ours:
        client.run("push", ours, "fill", jobs=jobs_of(path))
        with client.running("push", ours, "1000", path=path, connections=16, **options) as running:
            before = peak = ours.resident_bytes
            while running.is_busy:
                peak = max(peak, ours.resident_bytes)
                time.sleep(SAMPLE_SECONDS)
            return Beside(running.results()[0], peak - before)


def limits(client: Client, rounds: int) -> Table:
    """Measure what the load client itself can do, against a server in C that does nothing."""
    table = Table("The load client's own limits", ("per second", "spread", "client's core"))
    table.begin()
    with servers.sink(client.program) as sink:
        posts = [client.run("echo", sink, "loop,loopx100", connections=64) for _ in range(rounds)]
        events = [client.run("echo", sink, "idle", streams=100, path="/", settle=0) for _ in range(rounds)]
        ones = [client.run("echo", sink, "idle", streams=1_000, path="/one", settle=0) for _ in range(rounds)]
    _add_limit(table, "single posts", "updates_per_second", [run[0] for run in posts])
    _add_limit(table, "updates in batches of 100", "updates_per_second", [run[1] for run in posts])
    _add_limit(table, "events, each written alone", "events_per_second", [run[0] for run in ones])
    _add_limit(table, "events, 32 a write", "events_per_second", [run[0] for run in events])
    return table


def _add_limit(table: Table, name: str, what: str, runs: list[Result]) -> None:
    rate, cpu = middle(runs, what), middle(runs, "client_cpu")
    cells = (f"{rate:,.0f}", spread(run[what] for run in runs), f"{cpu:.0%}")
    table.row(name, *cells, per_second=rate, client_cpu=cpu)
