"""A process of its own that adds to one job: `python -m tests.adapters.hammer URL JOB WRITER COUNT`.

Each increment is pushed twice, as a client does that lost the answer. Prints how many answers said `applied`.
"""

import asyncio
import sys
import time

from sidecar.adapters.redis.link import RedisLink
from sidecar.adapters.redis.live import RedisLive
from tests.adapters.updates import push, update


async def hammer(url: str, job_id: str, writer: str, count: int) -> int:
    """Push `count` increments, two at a time in flight, each of them twice."""
    link = RedisLink(url, timeout_seconds=5.0)
    store = RedisLive(link, time.time)
    applied = 0
    for seq in range(count):
        given = update(job_id, writer=writer, seq=seq, add_current=1, add_items={writer: 2})
        answers = await asyncio.gather(*(store.update(job_id, push(given, time.time())) for _ in range(2)))
        applied += sum(answer.outcome.applied for answer in answers)
    await link.close()
    return applied


if __name__ == "__main__":
    sys.stdout.write(f"{asyncio.run(hammer(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))}\n")
