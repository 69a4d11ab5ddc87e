"""A lease in Redis: of several sidecars one does the work, and another takes over when it dies."""

import secrets
from math import ceil

from sidecar.adapters.redis import keys
from sidecar.adapters.redis.link import RedisLink, Script

LEAST_SECONDS = 5.0
RENEWALS = 3
"""So many times a holder tries to keep its lease until it ends."""


class RedisLease:
    """`Lease` over one key."""

    def __init__(self, link: RedisLink, name: str, seconds: float = LEAST_SECONDS) -> None:
        """Keep the parts; when its holder dies, another may have it so many seconds after it was last kept."""
        self._link = link
        self._milliseconds = ceil(1000 * seconds)
        self._key = keys.lease(name)
        self._script = Script("lease.lua")
        self._me = secrets.token_hex(8)

    async def hold(self) -> bool:
        """Take the lease, or keep it for a while."""
        async with self._link.deadline():
            answer = await self._link.evaluate(self._script, [self._key], lambda _: (self._me, self._milliseconds))
        return bool(answer)


def long_enough(every_seconds: float) -> float:
    """Return how long (seconds) a lease should be that is kept so often."""
    return max(LEAST_SECONDS, RENEWALS * every_seconds)
