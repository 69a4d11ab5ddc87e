"""What may befall the two stores."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.redis.keys import ProjectKeys
from sidecar.storage import Storage


@contextmanager
def paused(valkey: EmbeddedValkey) -> Iterator[None]:
    """Stop the server while inside: its connections stay open and nothing answers."""
    assert valkey._server is not None
    pid = valkey._server._transport.get_pid()
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def parted(storage: Storage) -> Iterator[None]:
    """Let one process alone take Redis for away while inside."""
    storage.redis_breaker.open("its line is cut")
    yield


async def lose_key(storage: Storage, job_id: str = "job-1", project: str = "default") -> None:
    """Lose a job's document, as a Redis does that evicts keys."""
    assert await storage.link.commands.delete(ProjectKeys(project).job(job_id)) == 1


async def come_back_empty(valkey: EmbeddedValkey, folder: Path) -> None:
    """Lose all that the server has in this folder, as one does that is started anew on another disk."""
    await valkey.stop()
    shutil.rmtree(folder / "valkey")
    await valkey.start()


@contextmanager
def no_database(storage: Storage, path: Path) -> Iterator[None]:
    """Put something else in the place of the database while inside; its connections must be closed."""
    for name in (path, *path.parent.glob(f"{path.name}-*")):
        name.rename(name.with_name(f"kept-{name.name}"))
    path.write_bytes(b"this is no database" * 100)
    yield
    path.unlink()
    for name in path.parent.glob(f"kept-{path.name}*"):
        name.rename(name.with_name(name.name.removeprefix("kept-")))
    storage.sql_breaker.close()
