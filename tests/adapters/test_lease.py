"""Who may do a work that only one should do, and who takes it over."""

import asyncio
import signal
import sys
from pathlib import Path

from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.redis.lease import RedisLease, long_enough
from sidecar.adapters.redis.link import RedisLink
from sidecar.settings import Settings
from sidecar.storage import Storage
from tests.http.conftest import Counted

LEASE_SECONDS = 1.0

HOLDER = """
import asyncio, sys
from sidecar.adapters.redis.lease import RedisLease
from sidecar.adapters.redis.link import RedisLink

async def hold():
    assert await RedisLease(RedisLink(sys.argv[1], 2.0), "work", float(sys.argv[2])).hold()
    print("held", flush=True)
    await asyncio.Event().wait()

asyncio.run(hold())
"""


async def test_lease_of_a_holder_that_was_killed_is_free_once_it_ends(valkey: EmbeddedValkey, link: RedisLink) -> None:
    command = (sys.executable, "-c", HOLDER, valkey.url, str(LEASE_SECONDS))
    holder = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert holder.stdout is not None
    assert await asyncio.wait_for(holder.stdout.readline(), 20) == b"held\n"
    heir = RedisLease(link, "work", LEASE_SECONDS)
    assert not await heir.hold()
    holder.send_signal(signal.SIGKILL)
    await holder.wait()
    clock = asyncio.get_running_loop().time
    too_late = clock() + 20 * LEASE_SECONDS
    while not await heir.hold():
        assert clock() < too_late


async def test_lease_outlasts_the_pauses_of_who_holds_it(
    valkey: EmbeddedValkey, link: RedisLink, tmp_path: Path
) -> None:
    settings = Settings(watchdog_interval_seconds=60.0)
    storage = Storage(settings, valkey.url, f"sqlite:///{tmp_path}/history.db", Counted())
    for name, seconds, lease in (
        ("watchdog", 180.0, storage.watchdog._lease),
        ("retention", 15.0, storage.retention._lease),
        ("recorder", 5.0, storage.recorder._lease),
    ):
        assert await lease.hold()
        left = await link.commands.pttl(f"progress:lease:{name}") / 1000
        assert seconds - 4 < left <= seconds
    await storage.close()


def test_lease_is_as_long_as_three_renewals() -> None:
    assert (long_enough(0.1), long_enough(5.0), long_enough(3_600.0)) == (5.0, 15.0, 10_800.0)
