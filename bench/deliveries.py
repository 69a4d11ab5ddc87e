"""What watching costs: events/s that arrive, and how long after its intended time an update is at its watchers."""

from collections.abc import Mapping
from dataclasses import dataclass

import servers
from client import Client, Result
from table import Table, middle, milliseconds, ratios, spread, total

JOBS = 200
PROJECT_PATH = "/v1/events?project=default&view=brief"
PROJECTS_PATH = "/v1/events?project=p-%d&view=brief"
PROJECTS = 500
OFFERED = {
    1_000: ("20", "50", "100", "500", "1000", "2000x20"),
    5_000: ("5", "10", "20", "100", "200", "400x4"),
}
"""Updates/s; `x20`: in batches of so many, so that taking them leaves time for telling them."""

CALM = ("200", "1000")
OFFERED_TO_PROJECTS = ("200", "1000", "2000", "5000x25")
COLUMNS = (
    "offered updates/s",
    "events/s",
    "bare aiohttp, one event a write, events/s",
    "ratio",
    "nchan, events/s",
    "ratio to nchan",
    "p50 / p99 ms",
    "skipped",
    "spread",
    "client's core",
)


@dataclass(frozen=True, slots=True)
class Watching:
    """Who watches what, and what is then sent; `bare` says what differs for the reference."""

    ours: Mapping[str, str | float]
    bare: Mapping[str, str | float]
    phases: tuple[str, ...]


def jobs_of(path: str) -> int:
    """Return how many jobs to update: the one that a path is about, or as many as a project has."""
    return 1 if "/jobs/" in path else JOBS


def project(client: Client, rounds: int, path: str, watchers: int) -> Table:
    """Measure many watchers of one project."""
    watching = Watching(
        {"streams": watchers, "path": path, "jobs": jobs_of(path)},
        {"streams": watchers, "path": "/stream", "connections": 1},
        ("each", *OFFERED[watchers]),
    )
    return _measure(f"Deliveries to {watchers:,} watchers of one project", client, rounds, watching)


def projects(client: Client, rounds: int, path: str) -> Table:
    """Measure many projects with a watcher each."""
    shared = {"streams": PROJECTS, "projects": PROJECTS, "jobs": PROJECTS}
    watching = Watching(
        {**shared, "path": path},
        {**shared, "path": "/stream?project=p-%d", "connections": 64},
        OFFERED_TO_PROJECTS,
    )
    return _measure(f"Deliveries in {PROJECTS} projects with a watcher each", client, rounds, watching)


def _measure(title: str, client: Client, rounds: int, watching: Watching) -> Table:
    table = Table(title, COLUMNS)
    table.begin()
    mine: list[list[Result]] = []
    theirs: list[Result] = []
    peers: list[Result] = []
    for _ in range(rounds):
        with servers.bare() as bare, servers.sidecar() as ours:
            theirs += client.run("publish", bare, "loop", **watching.bare)
            client.run("push", ours, "fill", **{**watching.ours, "streams": 0})
            mine.append(client.run("push", ours, ",".join(watching.phases), **watching.ours))
        peers += _of_nchan(client, watching)
    for phase, results in zip(watching.phases, zip(*mine, strict=True), strict=True):
        _add(table, phase, list(results), theirs, peers)
    return table


def _of_nchan(client: Client, watching: Watching) -> list[Result]:
    """Measure nchan in the same round where it is installed, which sends each event in a write of its own too."""
    if watching.bare["path"] != "/stream" or not servers.has_nchan():
        return []
    with servers.nchan() as peer:
        return client.run("publish", peer, "loop", **watching.bare)


def _events_per_second(result: Result) -> float:
    return float(result["events_per_second"])


def _skipped(rounds: list[Result]) -> float:
    skipped, received = total(rounds, "skipped"), total(rounds, "received")
    return skipped / max(skipped + received, 1)


def _add(table: Table, phase: str, mine: list[Result], theirs: list[Result], peers: list[Result]) -> None:
    rate, reference = middle(mine, "events_per_second"), middle(theirs, "events_per_second")
    ratio, lost = ratios(mine, theirs, _events_per_second), total(mine, "lost_streams")
    offered = middle(mine, "updates_per_second") if phase == "each" else float(phase.partition("x")[0])
    _, _, batch = phase.partition("x")
    name = f"{offered:,.0f} updates/s" + (f", in batches of {batch}" if batch else "")
    if phase == "each":
        name = "one event a write: each update when all have the last"
    table.row(
        name + (f" ({lost} streams lost)" if lost else ""),
        f"{offered:,.0f}",
        f"{rate:,.0f}",
        f"{reference:,.0f}",
        f"{ratio:.2f}",
        f"{middle(peers, 'events_per_second'):,.0f}" if peers else "not installed",
        f"{ratios(mine, peers, _events_per_second):.2f}" if peers else "",
        milliseconds(mine, "event", "50", "99"),
        f"{_skipped(mine):.1%}",
        spread(map(_events_per_second, mine)),
        f"{middle(mine, 'client_cpu'):.0%}",
        offered_updates_per_second=offered,
        events_per_second=rate,
        reference=reference,
        ratio=ratio,
        p50_us=middle(mine, "event_p50_us"),
        p99_us=middle(mine, "event_p99_us"),
        skipped=_skipped(mine),
        unsent=total(mine, "unsent"),
        failures=total(mine, "failures"),
        lost_streams=lost,
        client_cpu=middle(mine, "client_cpu"),
        reference_client_cpu=middle(theirs, "client_cpu"),
    )


def latency(client: Client, rounds: int, path: str) -> Table:
    """Measure how long it takes from a push to its watchers, where there is no hurry."""
    table = Table(
        "From push to watcher, 100 watchers of one project",
        ("p50 / p99 / p99.9 ms", "bare aiohttp, p50 / p99 / p99.9 ms", "ratio of p99", "skipped"),
    )
    table.begin()
    options = {"streams": 100, "connections": 16, "seconds": 2 * client.seconds}
    mine, theirs = [], []
    with servers.bare() as bare, servers.sidecar() as ours:
        client.run("push", ours, "fill", jobs=1)
        for _ in range(rounds):
            theirs.append(client.run("publish", bare, ",".join(CALM), path="/stream", **options))
            mine.append(client.run("push", ours, ",".join(CALM), path=path, jobs=jobs_of(path), **options))
    for phase, own, other in zip(CALM, zip(*mine, strict=True), zip(*theirs, strict=True), strict=True):
        _add_latency(table, phase, list(own), list(other))
    return table


def _add_latency(table: Table, phase: str, mine: list[Result], theirs: list[Result]) -> None:
    ratio = ratios(mine, theirs, lambda result: float(result["event_p99_us"]))
    shares = ("50", "99", "999")
    numbers = {f"p{share}_us": middle(mine, f"event_p{share}_us") for share in shares}
    bare = {f"bare_p{share}_us": middle(theirs, f"event_p{share}_us") for share in shares}
    table.row(
        f"{int(phase):,} updates/s",
        milliseconds(mine, "event", *shares),
        milliseconds(theirs, "event", *shares),
        f"{ratio:.1f}",
        f"{_skipped(mine):.1%}",
        **numbers,
        **bare,
        ratio=ratio,
        skipped=_skipped(mine),
    )
