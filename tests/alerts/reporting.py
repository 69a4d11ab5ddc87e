import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager


@asynccontextmanager
async def reporting(
    push: Callable[..., Awaitable[int]], pause_seconds: float, first: Mapping[str, object]
) -> AsyncIterator[None]:
    """Report on a job again and again while inside: with `current` it gets on, without it only lives.

    `push` is given the fields, the first time all of them.
    """

    async def report() -> None:
        fields, number = dict(first), 0
        while True:
            await push(**fields)
            number += 1
            fields = {name: number for name in first if name == "current"}
            await asyncio.sleep(pause_seconds)

    work = asyncio.create_task(report())
    try:
        yield
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
