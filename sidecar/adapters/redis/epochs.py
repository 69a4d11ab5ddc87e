"""Where each project stands in Redis, and the beginning of new epochs."""

import secrets
from typing import Any, NamedTuple

from sidecar.adapters.redis import keys
from sidecar.adapters.redis.keys import PROJECTS_A_CALL, ProjectKeys
from sidecar.adapters.redis.link import RedisLink, Script
from sidecar.ports import Cursor


class Place(NamedTuple):
    """Where a project stands, and the run id of the server on which it was last brought up to date."""

    cursor: Cursor
    restored: str


class RedisEpochs:
    """Reads and renews the epochs of projects."""

    def __init__(self, link: RedisLink) -> None:
        """Keep the link."""
        self._link = link
        self._renew = Script("renew.lua")

    async def places(self, projects: set[str]) -> dict[str, Place]:
        """Return where these and all other projects stand."""
        async with self._link.deadline():
            known = {project.decode() for project in await self._link.commands.smembers(keys.PROJECTS)}
        names, answers = sorted(projects | known), list[Any]()
        for start in range(0, len(names), PROJECTS_A_CALL):
            async with self._link.deadline(), self._link.commands.pipeline(transaction=False) as pipe:
                for name in names[start : start + PROJECTS_A_CALL]:
                    pipe.hmget(ProjectKeys(name).index("rev"), ["epoch", "rev", "restored"])
                answers += await pipe.execute()
        return {
            name: Place(Cursor((epoch or b"").decode(), int(rev or 0)), (restored or b"").decode())
            for name, (epoch, rev, restored) in zip(names, answers, strict=True)
        }

    async def renew(self, project: str, base: int, *, is_forced: bool, is_whole: bool = True) -> None:
        """Note that a project is up to date, in a new epoch if the server is a new one or SQL took something.

        Up to the rev `base` everybody has seen everything. If the project is not known to be whole, that it was brought
        up to date is not noted.
        """
        async with self._link.deadline():
            await self._link.evaluate(
                self._renew,
                [ProjectKeys(project).index("rev")],
                lambda run_id: (secrets.token_hex(4), run_id, base, int(is_forced), int(is_whole)),
            )
