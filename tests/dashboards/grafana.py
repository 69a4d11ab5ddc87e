"""What Grafana does with a dashboard: it fills in what is chosen, and asks Prometheus."""

import re
from collections.abc import Mapping

from tests.dashboards.documents import Target
from tests.servers.prometheus import Prometheus, numbers

VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)")

SHOWN_SECONDS = 60
RATE_SECONDS = 10

CHOSEN = {"job": "progress-sidecar", "instance": ".+", "job_type": ".+"}
"""What stands for the choices that a dashboard begins with: of instances and types “All”, which is their `allValue`."""


SUBJECTS = (
    "progress_job_estimated_end_timestamp_seconds and on (job_id) progress_job_stalled_since_timestamp_seconds"
    " or progress_job_estimated_end_timestamp_seconds"
)
"""Jobs to look at one by one: they have an estimate, and are stalled if any is."""


def filled(text: str, values: Mapping[str, str]) -> str:
    """Return a query with a value in the place of each variable; one that has none is an error."""
    return VARIABLE.sub(lambda found: values[found[1] or found[2]], text)


class Grafana:
    """Looks at the last minute, or longer. Of the jobs it chooses one that has all there is to see."""

    def __init__(
        self, prometheus: Prometheus, shown_seconds: int = SHOWN_SECONDS, rate_seconds: int = RATE_SECONDS
    ) -> None:
        self._prometheus = prometheus
        self._shown_seconds = shown_seconds
        self._windows = {"__rate_interval": f"{rate_seconds}s", "__range": f"{shown_seconds}s"}

    async def has_data(self, target: Target) -> bool:
        """Whether a query has a number in its result."""
        return bool(await self.numbers(target))

    async def numbers(self, target: Target) -> list[float]:
        """Return all numbers in the result of a query."""
        expr = filled(target.expr, await self._values())
        if target.is_instant:
            return numbers(await self._prometheus.now(expr))
        return numbers(await self._prometheus.over(expr, self._shown_seconds))

    async def has_traces(self, target: Target) -> bool:
        """Whether there are exemplars to show with a query, each of which names a trace."""
        expr = filled(target.expr, await self._values())
        found = await self._prometheus.exemplars(expr, self._shown_seconds)
        return bool(found) and all(each["labels"].keys() == {"trace_id", "span_id"} for each in found)

    async def finds(self, selector: str) -> bool:
        """Whether there are series that a selector selects."""
        return bool(numbers(await self._prometheus.now(filled(selector, await self._values()))))

    async def offers(self, variable: str) -> bool:
        """Whether the query of a variable has something to choose from."""
        found = LABEL_VALUES.fullmatch(variable)
        assert found, variable
        selector = filled(found[1], await self._values())
        return bool(await self._prometheus.values(found[2], selector, self._shown_seconds))

    async def _values(self) -> Mapping[str, str]:
        jobs = await self._prometheus.now(SUBJECTS)
        job_id = jobs[0]["metric"]["job_id"] if jobs else "none"
        return {**self._windows, **CHOSEN, "job_id": job_id}
