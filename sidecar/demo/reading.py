"""Reads now and then what a dashboard of somebody's own would: lists, single jobs, histories, statistics."""

import random

from sidecar.demo.client import Client, Refused
from sidecar.demo.job import PROJECT

EVERY_SECONDS = 3.0


class Reader:
    """Asks one thing each time that it is due."""

    def __init__(self, client: Client, dice: random.Random, speed: float) -> None:
        """Begin with nothing known."""
        self._client, self._dice, self._gap_seconds = client, dice, EVERY_SECONDS / speed
        self._next_at = 0.0
        self._job_ids: list[str] = ["nobody"]

    def read(self, now: float) -> None:
        """Ask for something, if it is time. Raises `Away`."""
        if now < self._next_at:
            return
        self._next_at = now + self._gap_seconds
        job_id = self._dice.choice(self._job_ids)
        paths = ("", "/timeline", "/attempts")
        try:
            listed = self._client.get(f"/v1/jobs?project={PROJECT}&limit=50&view=brief")
            self._job_ids = [each["job_id"] for each in listed["jobs"]] or self._job_ids
            self._client.get(f"/v1/jobs/{job_id}{self._dice.choice(paths)}")
            self._client.get(f"/v1/stats?project={PROJECT}")
        except Refused:
            pass  # a job that nobody knows, or a right that the token has not
