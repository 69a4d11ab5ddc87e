"""One line in, many watchers out: who watches what, and which store they hear of."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from functools import partial

from sidecar.hub.backlog import Backlogs
from sidecar.hub.broadcast import Broadcast, Store
from sidecar.hub.channel import Channel
from sidecar.hub.listener import Listener
from sidecar.hub.poller import Poller
from sidecar.hub.selection import Selection
from sidecar.hub.watcher import Watcher
from sidecar.ports import Broker, Feed, LiveStore, Switch
from sidecar.tasks import unheeded

BEATS_A_SILENCE = 15
"""How often a watcher is looked at while nothing is said: a client that has gone is noticed by then."""

CANCEL_AGAIN_SECONDS = 0.2

WATCHERS_A_TURN = 250
"""Pinged, or told which store serves, before others get a turn of the event loop."""


class Hub:
    """Everybody who watches, told of what the store that serves has to tell."""

    def __init__(self, broker: Broker, live: LiveStore, feed: Feed, redis: Feed, switch: Switch) -> None:
        """Keep the ports; `run` and `beat` do the work.

        `live` and `feed` are answered by whichever store serves, `redis` by Redis alone: places in its order mean
        nothing elsewhere.
        """
        self.backlogs = Backlogs(feed, self)
        self._switch = switch
        self._store = Store.REDIS
        self._channels: dict[str, Channel] = {}
        self._listener = Listener(broker, live, redis, self._channels)
        self._poller = Poller(feed, self._channels)
        self._has_line = asyncio.Event()
        self._attending: set[Watcher] = set()

    @property
    def is_listening(self) -> bool:
        """Whether changes reach this process now, from Redis or from SQL."""
        return self._has_line.is_set()

    async def until_listening(self) -> None:
        """Wait until changes reach this process."""
        await self._has_line.wait()

    async def enter(self, project: str, selection: Selection, watcher: Watcher) -> None:
        """Let a watcher hear of jobs of a project, until it leaves.

        What changes after entering is heard, while the broker is away as soon as it is back. Whoever enters must
        leave, also after an entering that was interrupted.
        """
        self._channels.setdefault(project, Channel()).add(selection, watcher)
        watcher.turn(self._store)
        await self._listener.add(project)

    def attend(self, watcher: Watcher) -> None:
        """Let a watcher hear that we live and which store serves, and of no job, until it is dismissed."""
        self._attending.add(watcher)
        watcher.turn(self._store)

    def dismiss(self, watcher: Watcher) -> None:
        """Let such a watcher hear no more."""
        self._attending.discard(watcher)

    def show(self, project: str, changes: Sequence[Broadcast]) -> None:
        """Note what some watcher of a project is shown: nobody is told anything older when another store serves."""
        channel = self._channels.get(project)
        if channel is not None:
            for change in changes:
                channel.told.show(change)

    def is_ahead(self, project: str, changes: Sequence[Broadcast]) -> bool:
        """Whether watchers of a project were told more of some job than is read now, of another store or epoch."""
        channel = self._channels.get(project)
        return channel is not None and any(map(channel.told.lacks, changes))

    async def leave(self, project: str, selection: Selection, watcher: Watcher) -> None:
        """Let a watcher hear no more, if it ever entered; forget a project that nobody watches any more."""
        channel = self._channels.get(project)
        if channel is None or not channel.discard(selection, watcher) or not channel.is_empty:
            return
        del self._channels[project]
        await self._listener.remove(project)

    async def run(self) -> None:
        """Carry changes to the watchers until the line breaks (`StoreUnavailable`); to be supervised."""
        while True:
            if self._switch.is_away:
                await _unless(self._switch.until_back(), self._serve(Store.SQL, self._poller.follow))
            else:
                await _unless(self._switch.until_away(), self._listen())

    async def _listen(self) -> None:
        """Carry what Redis tells."""
        async with self._listener.connected() as line:
            await self._serve(Store.REDIS, partial(self._listener.follow, line))

    async def _serve(self, store: Store, follow: Callable[[], Awaitable[None]]) -> None:
        """Tell everybody which store serves now, and follow it."""
        await self._turn(store)
        self._has_line.set()
        try:
            await follow()
        finally:
            self._has_line.clear()

    async def _turn(self, store: Store) -> None:
        """Tell everybody which store serves now."""
        if store is not self._store:
            self._store = store
            async for watcher in _in_turns(self._watchers()):
                watcher.turn(store)

    async def beat(self, silence_seconds: float) -> None:
        """Ping every watcher that was told nothing for so long, and notice those that have gone; for ever."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(silence_seconds / BEATS_A_SILENCE)
            now = clock()
            async for watcher in _in_turns(self._watchers()):
                watcher.beat(now, silence_seconds)

    def _watchers(self) -> list[Watcher]:
        """Return all of them."""
        return [*self._attending, *(each for channel in self._channels.values() for each in channel.watchers())]


async def _in_turns(watchers: Sequence[Watcher]) -> AsyncIterator[Watcher]:
    """Yield watchers, some at a time: what is written to 10,000 of them at once keeps everybody else waiting."""
    for number, watcher in enumerate(watchers, 1):
        yield watcher
        if number % WATCHERS_A_TURN == 0:
            await asyncio.sleep(0)


async def _unless(turned: Coroutine[None, None, None], work: Coroutine[None, None, None]) -> None:
    """Work until it turns out otherwise; raises what the work raises."""
    tasks = [asyncio.create_task(turned, name="hub-switch"), asyncio.create_task(work, name="hub-work")]
    for task in tasks:
        task.add_done_callback(unheeded)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[1].done():
            tasks[1].result()
    finally:
        while not all(task.done() for task in tasks):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=CANCEL_AGAIN_SECONDS)
