"""How tasks are ended, so that none is left behind and none complains of its end."""

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

CANCEL_AGAIN_SECONDS = 0.2


async def ended(task: "asyncio.Task[Any]") -> None:
    """Cancel a task and wait for its end; asked again and again, as a library may swallow a cancellation.

    What it has raised is nobody's concern any more.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=CANCEL_AGAIN_SECONDS)
    unheeded(task)


async def all_ended(tasks: "Iterable[asyncio.Task[Any]]") -> None:
    """Cancel some tasks at once and wait for their ends; see `ended`."""
    cancelled = list(tasks)
    for task in cancelled:
        task.add_done_callback(unheeded)
        task.cancel()
    for task in cancelled:
        await ended(task)


def unheeded(task: "asyncio.Future[Any]") -> None:
    """Take note of how a task ended, or a future, whoever else does: what it has raised is nobody's concern."""
    if not task.cancelled():
        task.exception()
