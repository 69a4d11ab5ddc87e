"""What the watchdog remembers from one look to the next, in Redis."""

from collections.abc import Mapping

from sidecar.adapters.redis import keys
from sidecar.adapters.redis.link import RedisLink
from sidecar.background.watchdog import Watch
from sidecar.core.stalls import Settling


class RedisLogbook:
    """`Logbook` over one hash."""

    def __init__(self, link: RedisLink) -> None:
        """Keep the link."""
        self._link = link

    async def read(self) -> Watch | None:
        """Return what was noted last, None if nothing was."""
        async with self._link.deadline():
            return watch_of(await self._link.commands.hgetall(keys.WATCHDOG))

    async def write(self, watch: Watch) -> None:
        """Note another."""
        noted = {"evaluated": watch.evaluated_at, "since": watch.settling.since, "settling": watch.settling.until}
        async with self._link.deadline():
            await self._link.commands.hset(keys.WATCHDOG, mapping=noted)


def watch_of(noted: Mapping[bytes, bytes]) -> Watch | None:
    """Return what the hash tells, None if there is none."""
    if b"evaluated" not in noted:
        return None
    evaluated = noted[b"evaluated"]
    since, until = noted.get(b"since", evaluated), noted.get(b"settling", 0.0)
    return Watch(float(evaluated), Settling(float(since), float(until)))
