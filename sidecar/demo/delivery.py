"""Takes what workers say to the sidecar: alone or in a batch, and sometimes wrong on purpose."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from sidecar.demo.client import Away, Client, Refused
from sidecar.demo.job import Job
from sidecar.demo.story import Ask, Limits

LOCKED_OUT = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class Delivery:
    """Delivers reports. Every call raises `Away` if the sidecar is, and `Refused` if it does not let the demo in."""

    def __init__(self, client: Client, say: Callable[[str], None]) -> None:
        """Keep the parts."""
        self._client, self._say = client, say
        self._may_cancel = True

    def limits(self) -> Mapping[str, Limits]:
        """Return how long jobs may stall there, by type; `default` has what holds for the others."""
        found = self._client.get("/v1/job-types")["job_types"]
        return {
            each["job_type"]: Limits(**{name: each[name] for name in Limits._fields if name in each}) for each in found
        }

    def report(self, group: Sequence[Job]) -> None:
        """Deliver what these jobs say, and tell each its answer; one whose answer did not come keeps its report."""
        for job in group:
            if job.ask is not None:
                self._ask(job, job.ask)
        for job, answer in zip(group, self._answers(group), strict=True):
            self._take(job, answer)
        for job in group:
            if (mischief := job.mischief()) is not None:
                with suppress(Refused):  # some of it should be
                    self._client.post(_path(job), mischief)

    def end(self, jobs: Sequence[Job]) -> None:
        """Report as cancelled what still runs."""
        ends = [end for job in jobs if (end := job.end()) is not None]
        if not ends:
            return
        try:
            self._client.post("/v1/updates", ends)
        except (Away, Refused) as error:
            self._say(f"{len(ends)} jobs could not be ended: {error}")
        else:
            self._say(f"stopped, and {len(ends)} jobs with it")

    def _answers(self, group: Sequence[Job]) -> list[Any]:
        if len(group) > 1:
            return list(self._client.post("/v1/updates", [job.report() for job in group])["results"])
        job = group[0]
        try:
            return [self._client.post(_path(job), job.report(), {"traceparent": job.traceparent})]
        except Refused as error:
            return [{"status": error.status, "detail": str(error)}]

    def _take(self, job: Job, answer: Any) -> None:
        problem = answer["status"] if isinstance(answer["status"], int) else 0
        if problem >= HTTPStatus.INTERNAL_SERVER_ERROR or problem == HTTPStatus.TOO_MANY_REQUESTS:
            raise Away(f"it answers {problem}")
        if problem in LOCKED_OUT:
            raise Refused(problem, str(answer))
        if problem:
            self._say(f"{job.job_id} is given up: {answer}")
            job.drop()
        else:
            job.answered(answer)

    def _ask(self, job: Job, ask: Ask) -> None:
        if ask is Ask.CANCEL and not self._may_cancel:
            return
        try:
            self._client.post(f"{_path(job)}/{ask}", headers={"Idempotency-Key": f"{job.job_id}-{ask}"})
        except Refused as error:
            if error.status == HTTPStatus.FORBIDDEN and ask is Ask.CANCEL:
                self._say("this token may not ask jobs to end, so nobody does; one of an admin of project demo may")
                self._may_cancel = False


def _path(job: Job) -> str:
    return f"/v1/jobs/{job.job_id}"
