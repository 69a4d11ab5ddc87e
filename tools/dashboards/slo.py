"""Progress / SLO: how much of the error budget of pushes is left, and how fast it goes."""

from typing import Any, NamedTuple

from grafana_foundation_sdk.models import dashboard as model

from tools.dashboards.colors import GREEN, RED, bad_from, good_from, steps
from tools.dashboards.frame import Frame, dashboard
from tools.dashboards.layout import Line, Row
from tools.dashboards.panels import HEATMAP, About, Query, heat, lines, now, number, share, stack
from tools.dashboards.queries import PUSHES, RATE, REQUESTS, increase, own, summed

FRAME = Frame(
    "progress-slo",
    "99.5 % of pushes are answered without a 5xx and within 250 ms, over 30 days. How much of the budget is left?",
    "now-24h",
    "5m",
    shows_restarts=True,
)

OBJECTIVE = "99.5 %"
BUDGET = 0.005
MONTH = "30d"

SINGLE = 'method="POST", route=~"/v1/jobs|/v1/jobs/{job_id}"'
BATCH = 'method="POST", route="/v1/updates"'
NOT_5XX = 'code!~"5.."'


LEAST = 100
"""Pushes in the long window of an alert, below which a ratio says little and it does not fire."""


class Alert(NamedTuple):
    """A pair of windows that an alert looks at, and how many times too fast the budget may be spent in both."""

    long: str
    short: str
    burn: float


ALERTS = (Alert("1h", "5m", 14.4), Alert("6h", "30m", 6), Alert("1d", "2h", 3), Alert("3d", "6h", 1))


def slo() -> dict[str, Any]:
    """Return the dashboard."""
    return dashboard(FRAME, [_budget(), _burn(), _causes()])


def total(window: str) -> str:
    """Return how many pushes there were."""
    return summed(increase(own(f"{REQUESTS}_count", PUSHES), window), "job")


def good(window: str) -> str:
    """Return how many pushes were good; of batches, which are as large as their sender likes, only a 5xx is bad."""
    fast = increase(own(f"{REQUESTS}_bucket", SINGLE, NOT_5XX, 'le="0.25"'), window)
    batches = increase(own(f"{REQUESTS}_count", BATCH, NOT_5XX), window)
    return summed(f"{fast} or {batches}", "job")


def bad_ratio(window: str) -> str:
    """Return the share of pushes that were bad; nothing if there was none at all."""
    return f"clamp_min(1 - ({good(window)} or 0 * {total(window)}) / ({total(window)} > 0), 0)"


def burn(window: str) -> str:
    """Return how many times faster than the objective allows the budget was spent."""
    return f"({bad_ratio(window)}) / {BUDGET}"


def left(window: str) -> str:
    """Return which share of the budget is left; below 0 it is overdrawn."""
    return f"1 - {burn(window)}"


def _budget() -> Row:
    return Row(
        "The budget of 30 days", [Line(6, [_kept(), _left(), _pushes(), _spent()]), Line(8, [_left_over_time()])]
    )


def _kept() -> model.Panel:
    about = About(
        "Good pushes",
        f"The share of the pushes of 30 days that were answered well and within 250 ms; it should be {OBJECTIVE}.",
        "Below it, reliability comes before features until it recovers.",
        "percentunit",
        "no push",
    )
    colors = good_from(1 - BUDGET, 1 - 2 * BUDGET)
    return number(about, now(f"1 - ({bad_ratio(MONTH)})", "{{job}}"), colors=colors, decimals=3)


def _left() -> model.Panel:
    about = About(
        "Budget left",
        "How much of the failures that the objective allows in 30 days is not yet spent.",
        "Nearly empty: put off what is risky. Empty: see 'What spends it'.",
        "percentunit",
        "no push",
    )
    return share(about, now(left(MONTH), "{{job}}"), good_from(0.5, 0.1))


def _pushes() -> model.Panel:
    about = About(
        "Pushes",
        "All pushes of the last 30 days. With few of them a ratio says little.",
        "Some hundreds or less: judge by single requests, not by this page.",
        "short",
        "0",
    )
    return number(about, now(total(MONTH), "{{job}}"))


def _spent() -> model.Panel:
    about = About(
        "Bad pushes",
        "Pushes of the last 30 days that failed on our side or took too long.",
        "The budget is one push of two hundred.",
        "short",
        "0",
    )
    return number(about, now(f"{total(MONTH)} * ({bad_ratio(MONTH)})", "{{job}}"))


def _left_over_time() -> model.Panel:
    about = About(
        "Budget left, over time",
        "What was left of the 30 days before each moment. It falls when pushes go wrong, and recovers later.",
        "A step is an outage; a slope is something that fails all the time.",
        "percentunit",
        "no push",
    )
    return _coarse(lines(about, Query(left(MONTH), "{{job}}"), least=None, limits=steps((None, RED), (0, GREEN))), 60)


def _coarse(panel: model.Panel, points: int) -> model.Panel:
    """Ask for few points: each looks at days of samples."""
    panel.max_data_points = points
    return panel


def _burn() -> Row:
    charts = [_burn_lines("fast", ALERTS[:2]), _burn_lines("slow", ALERTS[2:])]
    return Row("Burn rates", [Line(5, [_window(alert) for alert in ALERTS]), Line(9, charts)])


def _window(alert: Alert) -> model.Panel:
    about = About(
        f"Burn over {alert.long} and {alert.short}",
        f"How many times too fast the budget is spent, in both windows of an alert. At 1 it lasts 30 days; the alert"
        f" fires when both are above {alert.burn:g} and {alert.long} had {LEAST} pushes or more.",
        "Both red: docs/runbooks/ProgressIngestErrorBudgetBurn.md. Only the long one: it is over. Only the short one:"
        " it has just begun.",
        "short",
        "no push",
    )
    windows = (alert.long, alert.short)
    return number(
        about, *(now(burn(it), f"{it} {{{{job}}}}") for it in windows), colors=bad_from(alert.burn), decimals=2
    )


def _burn_lines(name: str, alerts: tuple[Alert, ...]) -> model.Panel:
    limits = " and ".join(f"{alert.burn:g} over {alert.long}" for alert in alerts)
    about = About(
        f"Burn rates, {name}",
        f"How many times too fast the budget is spent. The limits of the alerts are {limits}.",
        "Where a line crosses its limit is when it became urgent: compare with 'What spends it'.",
        "short",
        "no push",
    )
    windows = [window for alert in alerts for window in (alert.long, alert.short)]
    lowest = min(alert.burn for alert in alerts)
    return _coarse(
        lines(about, *(Query(burn(it), f"{it} {{{{job}}}}") for it in windows), limits=bad_from(lowest)), 150
    )


def _causes() -> Row:
    return Row("What spends it", [Line(9, [_errors(), _slow(), _spread()])])


def _errors() -> model.Panel:
    about = About(
        "Answered 5xx, by route",
        "Pushes that failed on our side.",
        "503 is a store that is away or full: see Progress / Sidecar.",
        "short",
    )
    failed = summed(increase(own(f"{REQUESTS}_count", PUSHES, 'code=~"5.."'), RATE), "route", "code")
    return stack(about, Query(failed, "{{route}} {{code}}"))


def _slow() -> model.Panel:
    about = About(
        "Slower than 250 ms, by route",
        "Pushes that were answered well, and too late. Batches are not judged by time.",
        "Look at the duration of store operations and at the event loop in Progress / Sidecar.",
        "short",
    )
    answered = summed(increase(own(f"{REQUESTS}_count", SINGLE, NOT_5XX), RATE), "route")
    in_time = summed(increase(own(f"{REQUESTS}_bucket", SINGLE, NOT_5XX, 'le="0.25"'), RATE), "route")
    return stack(about, Query(f"{answered} - {in_time}", "{{route}}"))


def _spread() -> model.Panel:
    about = About(
        "Durations of single pushes",
        "How pushes spread over durations. Whatever is above 250 ms spends budget; a dot is one push, with its trace.",
        "A second band above the first is a store that stutters.",
        "s",
        "no push",
    )
    buckets = summed(increase(own(f"{REQUESTS}_bucket", SINGLE), RATE), "le")
    return heat(about, Query(buckets, "{{le}}", has_exemplars=True, kind=HEATMAP))
