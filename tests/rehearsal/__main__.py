"""Rehearse: `python -m tests.rehearsal`."""

import asyncio
import tempfile
from pathlib import Path

from aiohttp import ClientSession

from tests.rehearsal.acts import Rehearsal
from tests.rehearsal.composed import composed


async def rehearse() -> None:
    """Run all that compose runs, and go through what befalls it."""
    with tempfile.TemporaryDirectory(prefix="sidecar-rehearsal-") as home:
        async with composed(Path(home)) as stage, ClientSession() as http:
            await Rehearsal(stage, http).run()


if __name__ == "__main__":
    asyncio.run(rehearse())
