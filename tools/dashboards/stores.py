"""The rows on the stores, and on what waits for them, of Progress / Sidecar."""

from grafana_foundation_sdk.models import dashboard as model

from tools.dashboards.colors import BLUE, GREEN, RED, bad_from, colored, limit_line, steps
from tools.dashboards.layout import Line, Row
from tools.dashboards.panels import About, Query, defaults_of, differ, lines, named, now, number, spans, stack
from tools.dashboards.queries import own, quantile, rate, since, summed

TOOK = "progress_store_operation_duration_seconds"
BY = ("store", "operation")
EACH = "{{store}} {{operation}}"

STATES = named({1: ("up", GREEN), 0: ("away", RED)})
COLORS = steps((None, RED), (1, GREEN))
WORST = f"min by (store) ({own('progress_store_up')})"
"""Each replica judges for itself: the stores as the one sees them that sees them worst."""


def stores() -> Row:
    """Return the row on how the stores do."""
    first = [_over_time(), _times()]
    second = [_load(), _errors(), _fallbacks()]
    return Row("Stores and fallback", [Line(8, first), Line(8, second)])


def history() -> Row:
    """Return the row on what is written to SQL."""
    return Row("History", [Line(8, [_size(), _length(), _oldest(), _recorded()])])


def stores_now() -> model.Panel:
    """Return the panel that says whether the stores are there."""
    about = About(
        "Stores",
        "Whether Redis and SQL are there, for the replica that sees it worst.",
        "One away: somebody should look soon. Both away: pushes are refused, and it is time to hurry.",
        "string",
        "no replica",
    )
    panel = number(about, now(WORST, "{{store}}"), colors=COLORS)
    defaults_of(panel).mappings = STATES
    return panel


def oldest_seconds() -> str:
    """Return for how long the oldest line has waited, which all tell alike; at 0 nobody has looked yet."""
    return since(f"(max({own('progress_outbox_oldest_timestamp_seconds')}) > 0)")


def _over_time() -> model.Panel:
    about = About(
        "Stores over time",
        "When Redis and SQL were there (green) and away (red), for the replica that saw it worst.",
        "Compare a red block with what else happened then.",
        "string",
    )
    panel = spans(about, Query(WORST, "{{store}}"), colors=COLORS)
    defaults_of(panel).mappings = STATES
    return panel


def _times() -> model.Panel:
    about = About(
        "Duration of store operations, p95",
        "How long each store took to answer, by operation.",
        "Redis above 10 ms: look at its disk, or the network to it.",
        "s",
    )
    return lines(about, Query(quantile(0.95, own(f"{TOOK}_bucket"), *BY), EACH))


def _load() -> model.Panel:
    about = About(
        "Store operations",
        "What the stores are asked, a second.",
        "Compare with pushes and streams: it grows with both.",
        "ops",
    )
    return lines(about, Query(summed(rate(own(f"{TOOK}_count")), *BY), EACH))


def _errors() -> model.Panel:
    about = About(
        "Store errors",
        "Operations that a store did not do, a second: it was away, or it refused (out of memory, say).",
        "The log says why; docs/operations.md says what each costs.",
        "ops",
    )
    return stack(about, Query(summed(rate(own("progress_store_errors_total")), "store", "kind"), "{{store}} {{kind}}"))


def _fallbacks() -> model.Panel:
    about = About(
        "Served by SQL, by operation and reason",
        "What SQL did because Redis could not. 'unavailable': Redis was away. 'miss': it had lost a job.",
        "'miss' means that Redis loses keys: check maxmemory-policy noeviction.",
        "ops",
    )
    by_reason = summed(rate(own("progress_fallbacks_total")), "surface", "operation", "reason")
    each = Query(by_reason, "{{surface}} {{operation}} {{reason}}")
    together = Query(summed(rate(own("db_fallback_total"))), "all")
    return differ(lines(about, each, together), [colored("all", BLUE)])


def _size() -> model.Panel:
    about = About(
        "Outbox",
        "Memory that lines take in Redis until they are recorded, and how much they may. Shared by all replicas.",
        "At 80 % samples are left out, at 100 % some updates are refused: bring SQL back before.",
        "bytes",
    )
    used, limit = own("progress_outbox_bytes"), own("progress_outbox_limit_bytes")
    panel = lines(about, Query(f"max({used})", "used"), Query(f"max({limit})", "limit"))
    return differ(panel, [limit_line("limit")])


def _length() -> model.Panel:
    about = About(
        "Outbox lines",
        "Timeline lines that wait in Redis to be written to SQL.",
        "Some hundreds under load are normal. Growth means that SQL is away or too slow.",
        "short",
    )
    return lines(about, Query(f"max({own('progress_outbox_length')})", "lines"))


def _oldest() -> model.Panel:
    about = About(
        "Oldest line",
        "How long the oldest of them has waited.",
        "Above the line, the recorder does not keep up, or SQL is away.",
        "s",
    )
    return lines(about, Query(oldest_seconds(), "oldest"), limits=bad_from(60))


def _recorded() -> model.Panel:
    about = About(
        "Recorded",
        "Timeline lines that are written to SQL, and samples that had to be left out, a second.",
        "0 while the outbox grows: SQL is away. Samples left out: it was away for very long.",
        "ops",
    )
    recorded = Query(summed(rate(own("progress_recorded_total"))), "recorded")
    left_out = Query(summed(rate(own("progress_samples_dropped_total"))), "left out")
    return lines(about, recorded, left_out)
