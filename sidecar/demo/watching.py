"""Watches as browsers do, over Server-Sent Events and WebSockets: comes, reads, goes, and resumes."""

import asyncio
import json
import random
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from typing import Any, NamedTuple

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, WSMsgType

from sidecar.demo.client import Address
from sidecar.demo.job import PROJECT

QUIET_SECONDS = 45.0
"""Longer than three heartbeats: then nobody is there any more."""

CONNECT_SECONDS = 5.0
LINE_BYTES = 1_048_576
STAYS_EVENTS = (20, 400)
GAP_SECONDS = (1.0, 6.0)
LEAVE_SECONDS = 5.0
FORGETS = 0.05
"""How often a watcher comes back with a cursor that nobody knows any more."""


class Heard(NamedTuple):
    """An event, and the position behind it; the cursor is empty where there is none."""

    event: str
    cursor: str


Watch = Callable[[ClientSession, str], AsyncGenerator[Heard]]
"""Opens a connection behind a cursor and yields what it hears until it ends."""


def watches() -> Sequence[Watch]:
    """Return what is watched, by one watcher each."""
    return (
        _stream(f"project={PROJECT}"),
        _stream(f"project={PROJECT}&status=running,failed&view=full"),
        _socket({"project": PROJECT}),
        _socket({"project": PROJECT, "job_type": "crawl", "view": "full"}),
        _one_job,
    )


@contextmanager
def watching(address: Address, seed: int) -> Iterator[None]:
    """Watch while inside, in a thread of its own."""
    loop = asyncio.new_event_loop()
    everything = loop.create_task(_watch_all(address, seed))

    def work() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(everything)

    thread = threading.Thread(target=work, name="demo-watchers", daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(everything.cancel)
        thread.join(LEAVE_SECONDS)
        if not thread.is_alive():
            loop.close()


async def _watch_all(address: Address, seed: int) -> None:
    timeout = ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=QUIET_SECONDS)
    base = address.url.rstrip("/") + "/"
    async with (
        ClientSession(base, headers=address.headers, timeout=timeout, read_bufsize=LINE_BYTES) as session,
        asyncio.TaskGroup() as watchers,
    ):
        for number, watch in enumerate(watches()):
            dice = random.Random(f"{seed} watcher {number}")  # noqa: S311 - no secret
            watchers.create_task(_come_and_go(session, watch, dice))


async def _come_and_go(session: ClientSession, watch: Watch, dice: random.Random) -> None:
    """Read for a while, leave, and resume where it was, for ever."""
    cursor = ""
    while True:
        left = dice.randint(*STAYS_EVENTS)
        with suppress(ClientError, OSError, TimeoutError, ValueError, LookupError):  # away; it may be back next time
            async with aclosing(watch(session, cursor)) as events:
                async for heard in events:
                    cursor, left = heard.cursor or cursor, left - 1
                    if left <= 0:
                        break
        await asyncio.sleep(dice.uniform(*GAP_SECONDS))
        if dice.random() < FORGETS:
            cursor = "forgotten-1"


def _stream(query: str) -> Watch:
    async def watch(session: ClientSession, cursor: str) -> AsyncGenerator[Heard]:
        resumed = {"Last-Event-ID": cursor} if cursor else {}
        async with session.get(f"v1/events?{query}", headers=resumed) as response:
            async for heard in _events(response):
                yield heard

    return watch


async def _one_job(session: ClientSession, _cursor: str) -> AsyncGenerator[Heard]:
    """Watch one job that runs to its end."""
    async with session.get(f"v1/jobs?project={PROJECT}&status=running&view=brief&limit=1") as response:
        jobs = (await response.json())["jobs"] if response.ok else []
    for job in jobs:
        async with session.get(f"v1/jobs/{job['job_id']}/events") as response:
            async for heard in _events(response):
                yield heard._replace(cursor="")


async def _events(response: ClientResponse) -> AsyncGenerator[Heard]:
    """Yield the events of a stream; what the data are is of no interest here."""
    event = cursor = ""
    async for line in response.content:
        name, _, value = line.decode().rstrip("\r\n").partition(":")
        match name:
            case "event":
                event = value.strip()
            case "id":
                cursor = value.strip()
            case "" if event and not value:
                yield Heard(event, cursor)
                event = ""


def _socket(selection: dict[str, Any]) -> Watch:
    async def watch(session: ClientSession, cursor: str) -> AsyncGenerator[Heard]:
        async with session.ws_connect("v1/ws", max_msg_size=LINE_BYTES) as ws:
            await ws.send_json({"watch": selection, "after": cursor or None})
            while (message := await ws.receive(QUIET_SECONDS)).type is WSMsgType.TEXT:
                frame = json.loads(message.data)
                yield Heard(frame["event"], frame["cursor"] or "")

    return watch
