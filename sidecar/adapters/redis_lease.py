"""A lease in Redis: of several sidecars one does the work, and another takes over when it dies."""

import secrets

from sidecar.adapters import keys
from sidecar.adapters.redis_link import RedisLink, Script

LEASE_MILLISECONDS = 5_000


class RedisLease:
    """`Lease` over one key."""

    def __init__(self, link: RedisLink, name: str) -> None:
        """Keep the parts."""
        self._link = link
        self._key = keys.lease(name)
        self._script = Script("lease.lua")
        self._me = secrets.token_hex(8)

    async def hold(self) -> bool:
        """Take the lease, or keep it for a while."""
        async with self._link.deadline():
            answer = await self._link.evaluate(self._script, [self._key], lambda _: (self._me, LEASE_MILLISECONDS))
        return bool(answer)
