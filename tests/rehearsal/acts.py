"""What happens in a rehearsal, act by act; each prints when what it waits for has come."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, suppress
from datetime import datetime
from functools import partial
from typing import Any

from aiohttp import ClientError, ClientSession

from tests.alerts.reporting import reporting
from tests.alerts.rules import DASHBOARDS
from tests.dashboards.documents import BOARDS, TARGETS
from tests.dashboards.grafana import Grafana
from tests.dashboards.test_data import EMPTY_WHEN_HEALTHY
from tests.faults.patience import Awaited
from tests.rehearsal.composed import Composed
from tests.servers.prometheus import GRAFANA_URL

MINUTE = 60.0
LOOK_SECONDS = 1.0
PUSH_SECONDS = 2.0
OUTAGE_SECONDS = 6 * MINUTE
GROUP_WAIT_SECONDS = 30.0
"""What fired so shortly before its cause is muted, too: it waits for others of its group."""

SHOWN_SECONDS = 15 * 60
RATE_SECONDS = 60
"""What Grafana makes of a scrape interval of 15 s: four of them."""

WHEN_PUSHES_FAIL = {where for where, why in EMPTY_WHEN_HEALTHY.items() if "push" in why}
REFUSED = 503


class Rehearsal:
    """The acts, and what they share."""

    def __init__(self, stage: Composed, http: ClientSession) -> None:
        self._stage = stage
        self._http = http
        self._grafana = Grafana(stage.prometheus, SHOWN_SECONDS, RATE_SECONDS)
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line with the time that has passed."""
        passed = round(time.monotonic() - self._began)
        print(f"[{passed // 60:2d}:{passed % 60:02d}] {text}", flush=True)  # noqa: T201 - whoever rehearses reads it

    async def run(self) -> None:
        """Go through all acts; raises `AssertionError` at what is not as it should be."""
        self.say("everything runs")
        async with self._reporting("moves", current=0):
            await asyncio.gather(self.dashboards_have_data(), self.a_job_stalls())
            await self.metrics_are_clean()
            await self.both_stores_stop()
        await self.the_sidecar_stops()
        self.say("all is as it should be")

    async def dashboards_have_data(self) -> None:
        """Every query of every dashboard finds data, and every variable something to choose from."""
        queries = TARGETS.keys() - EMPTY_WHEN_HEALTHY.keys()
        when_stalled = EMPTY_WHEN_HEALTHY.keys() - WHEN_PUSHES_FAIL
        variables = {each["query"] for board in BOARDS for each in board.variables if each["type"] == "query"}
        with_traces = {where for where in queries if TARGETS[where].has_exemplars}
        await self._all(variables, self._grafana.offers, 5, "variables with nothing to choose from")
        self.say(f"dashboards: all {len(variables)} variables have something to choose from")
        await self._all(queries, self._has_data, 12, "queries without data")
        self.say(f"dashboards: all {len(queries)} queries that have data while all is well have some")
        await self._all(with_traces, self._has_traces, 5, "queries without exemplars")
        self.say(f"dashboards: all {len(with_traces)} queries with exemplars have some that name a trace")
        await self._all(when_stalled, self._has_data, 10, "queries without data though jobs stall")
        self.say(
            f"dashboards: all {len(when_stalled)} queries that are empty until jobs stall and alerts fire have data"
        )

    async def a_job_stalls(self) -> None:
        """A job that stands still is told of, with links that work, and is over when it moves."""
        async with self._reporting("stands", job_type="rehearsed", stage="waiting"):
            began = time.time()
            self.say("job `stands` stands still from now on, while its worker goes on to speak")
            await self._until(lambda: self._came("ProgressJobStalled", job_id="stands"), 10, "the job is told of")
            alert = self._told("ProgressJobStalled", job_id="stands")[0]
            severity = alert["labels"]["severity"]
            self.say(f"the webhook is told ProgressJobStalled ({severity}), {time.time() - began:.0f} s later")
            await self._links_work(alert)
        async with self._reporting("stands", current=1):
            began = time.time()
            self.say("job `stands` moves again")
            over = ("ProgressJobStalled", "resolved")
            await self._until(lambda: self._came(*over, job_id="stands"), 12, "the webhook is told that it is over")
            self.say(f"the webhook is told that it is over, {time.time() - began:.0f} s later")
        assert not self._told("ProgressJobStalled", job_id="moves")

    async def metrics_are_clean(self) -> None:
        """After all that load promtool finds nothing to criticise in what this very process tells."""
        async with self._http.get(f"{self._stage.ops_url}/metrics") as answer:
            exposition = await answer.read()
        pipe = asyncio.subprocess.PIPE
        promtool = await asyncio.create_subprocess_exec(
            "promtool", "check", "metrics", stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await promtool.communicate(exposition)
        assert (promtool.returncode, said) == (0, b""), said.decode()
        samples = sum(not line.startswith(b"#") for line in exposition.splitlines())
        self.say(f"promtool check metrics has nothing to say of the {samples} samples that the sidecar tells")

    async def both_stores_stop(self) -> None:
        """Without stores that alone is told, and pushes are taken again when they are back."""
        began = time.time()
        self._stage.postgres.kill()
        self._stage.valkey.kill()
        self.say("both stores are stopped")
        await self._until(lambda: self._came_since(began, "ProgressStoreUnavailable"), 5, "the outage is told of")
        self.say(f"the webhook is told ProgressStoreUnavailable (critical), {time.time() - began:.0f} s later")
        assert await self._push("moves", current=1) == REFUSED
        fires: set[str] = set()
        while time.time() < began + OUTAGE_SECONDS:
            fires |= await self._firing()
            await asyncio.sleep(LOOK_SECONDS)
        outage = self._started("ProgressStoreUnavailable", began)
        came = self._told_since(outage - GROUP_WAIT_SECONDS)
        self.say(
            f"{OUTAGE_SECONDS / MINUTE:.0f} min of it: told of nothing else; fired and was muted: {_list(fires - came)}"
        )
        assert came == {"ProgressStoreUnavailable"}, came
        await self._all(WHEN_PUSHES_FAIL, self._has_data, 2, "queries without data though pushes fail")
        self.say("dashboards: what is empty until pushes fail has data")
        back = time.time()
        await self._stage.bring_stores_back()
        await self._until(self._pushes_are_taken, 3, "pushes are taken again")
        self.say(f"both stores are started, and pushes are taken again {time.time() - back:.0f} s later")

    async def the_sidecar_stops(self) -> None:
        """Without a sidecar it is told that it is down, and then that there is none."""
        began = time.time()
        code = await asyncio.to_thread(self._stage.sidecar.terminate, self._stage.stop_grace_seconds)
        assert code == 0, code
        self.say(f"the sidecar is stopped, which took it {time.time() - began:.0f} s")
        await self._until(lambda: self._came_since(began, "ProgressSidecarDown"), 6, "it is told of")
        self.say(f"the webhook is told ProgressSidecarDown (critical), {time.time() - began:.0f} s later")
        assert not await self._came_since(began, "ProgressSidecarAbsent")
        await self._until(lambda: self._came_since(began, "ProgressSidecarAbsent"), 10, "it is missed")
        self.say(f"the webhook is told ProgressSidecarAbsent (critical), {time.time() - began:.0f} s later")
        came = self._told_since(began)
        assert came == {"ProgressSidecarDown", "ProgressSidecarAbsent"}, came

    def _reporting(self, job_id: str, **first: object) -> AbstractAsyncContextManager[None]:
        """Report on a job while inside; see `reporting`."""
        return reporting(partial(self._push, job_id), PUSH_SECONDS, first)

    async def _push(self, job_id: str, **fields: object) -> int:
        """Report on a job; return the status of the answer, 0 without one."""
        url, headers = f"{self._stage.sidecar.url}/v1/jobs/{job_id}", {"Authorization": f"Bearer {self._stage.token}"}
        with suppress(ClientError, OSError, TimeoutError):
            async with self._http.post(url, json=fields, headers=headers) as answer:
                return answer.status
        return 0

    async def _pushes_are_taken(self) -> bool:
        return await self._push("moves", current=time.time()) < REFUSED

    async def _links_work(self, alert: dict[str, Any]) -> None:
        """Follow the links of an alert on one job: to its runbook, its dashboard, and itself."""
        links, labels = alert["annotations"], alert["labels"]
        async with self._http.get(links["runbook_url"]) as page:
            assert (await page.text()).startswith(f"# {labels['alertname']}\n"), links
        uid, _, query = links["dashboard_url"].removeprefix(f"{GRAFANA_URL}/d/").partition("?")
        assert uid in DASHBOARDS, links
        assert f"var-job_id={labels['job_id']}" in query, links
        self.say(f"its links work: {links['runbook_url']} {links['dashboard_url']}")

    def _told(self, name: str, status: str = "firing", **labels: str) -> list[dict[str, Any]]:
        """Return what came of this name and status, about what has these labels."""
        return [each for each in self._stage.webhook.named(name, status) if labels.items() <= each["labels"].items()]

    async def _came(self, name: str, status: str = "firing", **labels: str) -> bool:
        return bool(self._told(name, status, **labels))

    async def _came_since(self, when: float, name: str) -> bool:
        return name in self._told_since(when)

    def _told_since(self, when: float) -> set[str]:
        """Return the names of what came and began to fire since then (Unix seconds)."""
        alerts = [each for each in self._stage.webhook.alerts if each["status"] == "firing"]
        return {each["labels"]["alertname"] for each in alerts if _start(each) > when} - {"ProgressWatchdog"}

    def _started(self, name: str, after: float) -> float:
        return min(_start(each) for each in self._told(name) if _start(each) > after)

    async def _firing(self) -> set[str]:
        """Return the names of what fires in Prometheus, muted or not."""
        found = await self._stage.prometheus.now('ALERTS{alertstate="firing", alertname!="ProgressWatchdog"}')
        return {each["metric"]["alertname"] for each in found}

    async def _has_data(self, where: str) -> bool:
        return await self._grafana.has_data(TARGETS[where])

    async def _has_traces(self, where: str) -> bool:
        return await self._grafana.has_traces(TARGETS[where])

    async def _all(
        self, wanted: Iterable[str], holds: Callable[[str], Awaitable[bool]], minutes: float, what: str
    ) -> None:
        """Wait until it holds of all, of each once."""
        awaited = Awaited(wanted, holds)
        await self._until(awaited.have_come, minutes, lambda: f"{what}: {_list(awaited.missing)}")

    async def _until(self, holds: Callable[[], Awaitable[bool]], minutes: float, what: str | Callable[[], str]) -> None:
        """Wait until something holds, looking now and then."""
        try:
            async with asyncio.timeout(minutes * MINUTE):
                while True:
                    if await holds():
                        return
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            said = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {minutes:g} min: {said}") from None


def _start(alert: dict[str, Any]) -> float:
    return datetime.fromisoformat(alert["startsAt"]).timestamp()


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
