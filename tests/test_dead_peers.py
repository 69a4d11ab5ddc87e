"""Clients whose machine is gone without a word."""

import asyncio
import sys
from pathlib import Path

from tests import dead_peers


async def test_clients_whose_machine_died_are_noticed_within_a_minute(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", dead_peers.__name__, str(tmp_path / "data")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        told, errors = await asyncio.wait_for(process.communicate(), 3 * dead_peers.NOTICED_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, errors.decode()
    assert 0 < float(told) <= dead_peers.NOTICED_SECONDS
