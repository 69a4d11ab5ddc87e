"""What a Redis does with what it has acknowledged, as it is set: somebody else's may lose it in a crash."""

import logging
from collections.abc import Mapping

from sidecar.adapters.redis.link import RedisLink
from sidecar.core.errors import StoreUnavailable
from sidecar.ports import Durability

logger = logging.getLogger(__name__)

DURABILITY = ("appendonly", "appendfsync", "maxmemory-policy")


async def durability(link: RedisLink) -> Durability:
    """Return what a Redis is set to do with what it has acknowledged, as far as it lets us ask now."""
    try:
        found = await link.settings(*DURABILITY)
    except StoreUnavailable:
        found = {}
    return Durability({name: found[name] for name in DURABILITY if name in found}, _is_safe(found))


def _is_safe(found: Mapping[str, str]) -> bool | None:
    """Whether nothing acknowledged is lost in a crash or for want of memory, None if that cannot be told."""
    if not all(name in found for name in DURABILITY):
        return None
    return [found[name] for name in DURABILITY] == ["yes", "always", "noeviction"]


async def tell_durability(link: RedisLink) -> None:
    """Say at the start what a crash of somebody else's Redis would cost."""
    found = await durability(link)
    if found.is_safe is False:
        fields = {"fields": dict(found.settings)}
        logger.warning("this Redis may lose acknowledged updates when it crashes or fills up", extra=fields)
    else:
        logger.info("connected to Redis", extra={"fields": dict(found.settings)})
