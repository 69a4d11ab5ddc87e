"""The stores, wired: Redis and SQL, what carries data between them, and what watches over them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from sidecar.adapters.data_dir import DataDirectory
from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.failover.breaker import Breaker
from sidecar.adapters.failover.fallback import FallbackStore
from sidecar.adapters.failover.outbox_bound import OutboxBound
from sidecar.adapters.failover.restoration import Restoration
from sidecar.adapters.failover.stores import Stores, finding
from sidecar.adapters.redis.agenda import RedisAgenda
from sidecar.adapters.redis.broker import RedisBroker
from sidecar.adapters.redis.durability import durability, tell_durability
from sidecar.adapters.redis.lease import RedisLease, long_enough
from sidecar.adapters.redis.link import RedisLink
from sidecar.adapters.redis.live import RedisLive
from sidecar.adapters.redis.logbook import RedisLogbook
from sidecar.adapters.redis.outbox import RedisOutbox
from sidecar.adapters.redis.sweep import RedisSweep
from sidecar.adapters.sql.archive import SqlArchive
from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.history import SqlHistory
from sidecar.adapters.sql.live import SqlLive
from sidecar.adapters.sql.logbook import SqlLogbook
from sidecar.adapters.sql.replica import ReplicaHistory, ReplicaPages
from sidecar.background.baselines import Baselines
from sidecar.background.recorder import Recorder
from sidecar.background.retention import DAY_SECONDS, PAUSE_SECONDS, Retention, Terms
from sidecar.background.supervision import TRY_AGAIN_SECONDS, Loop, looping, patient
from sidecar.background.watchdog import Watchdog
from sidecar.core.errors import HistoryUnavailable, StartError, Unavailable
from sidecar.core.silence import Patience
from sidecar.core.stalls import due_at
from sidecar.history import History
from sidecar.ports import Durability, Metrics
from sidecar.settings import Settings, job_types_in

PATIENCE_SECONDS = 5.0
"""How long the start waits for a store that does not answer yet."""

CATCH_UP_SECONDS = 5.0
"""How long the start may take to record what was left."""

PUSH_MISS = ("update", "ingest", "miss")

GRACE_SECONDS = 60.0
"""A finished job may stay in Redis for so long after its time until it counts as one that cannot leave, and a timeline
line may wait for so long until it counts as one that is not recorded."""

LATE_SECONDS = 30.0
"""A recorder that has not been round for so long is late."""

LOOPS = (
    "baselines",
    "outbox",
    "recorder",
    "redis",
    "replica",
    "restoration",
    "retention",
    "spill",
    "sql",
    "valkey",
    "watchdog",
)

Probe = Callable[[], Awaitable[bool]]


class Storage:
    """Both stores and all that works on them; nothing is connected before it is used."""

    def __init__(
        self,
        settings: Settings,
        redis_url: str,
        database_url: str,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Wire the parts."""
        seconds = settings.store_timeout_seconds
        self._clock, self._finished_seconds = clock, settings.finished_ttl_seconds
        self.redis_breaker = Breaker("Redis")
        self.sql_breaker = Breaker("SQL", error=HistoryUnavailable)
        self.link = RedisLink(redis_url, seconds, self.redis_breaker)
        self.own_link = RedisLink(redis_url, seconds)
        self.database = Database(database_url, seconds, self.sql_breaker)
        self.outbox = outbox = RedisOutbox(self.link)
        self.replica_breaker = Breaker("SQL's read replica", error=HistoryUnavailable)
        self.replica = _replica(settings, self.replica_breaker)
        sql = self._sql_live(clock, settings.finished_ttl_seconds)
        self.outbox_bound = OutboxBound(outbox, metrics, settings.outbox_bytes, self._overdue_before)
        self.past = SqlHistory(self.database)
        self.history = _history(self.past, self.replica)
        self.job_types = types = job_types_in(settings)
        self.baselines = Baselines(self.past, types.limits, types.expected_intervals)
        live = RedisLive(
            self.link,
            clock,
            finding(sql),
            self.outbox_bound.admit,
            partial(metrics.fell_back, *PUSH_MISS),
            lambda shown: due_at(shown, self.baselines.limits(shown.job.job_type)),
        )
        self.archive = SqlArchive(self.database, clock)
        self.stores = Stores(live, sql, self.archive, self.redis_breaker, metrics, clock)
        self.broker = RedisBroker(self.link)
        self.restoration = Restoration(self.stores, self.link, self.own_link, self.archive, self.sql_breaker)
        lease = RedisLease(self.link, "recorder")
        ports = (outbox, live, live, self.archive, lease, metrics, clock)
        self.recorder = Recorder(*ports, self.restoration.want)
        sweep, lease = (
            RedisSweep(self.link, live.memory.forget),
            RedisLease(self.link, "retention", long_enough(PAUSE_SECONDS)),
        )
        self.retention = Retention(outbox, sweep, live, self.archive, lease, _terms(settings), metrics, clock)
        limits, interval = self.baselines.limits, settings.watchdog_interval_seconds
        agenda, lease = RedisAgenda(self.link), RedisLease(self.link, "watchdog", long_enough(interval))
        logbooks = (RedisLogbook(self.link), SqlLogbook(self.database))
        self.watchdog = Watchdog(agenda, *logbooks, live, lease, limits, clock, interval)

    def _sql_live(self, clock: Callable[[], float], finished_seconds: float) -> SqlLive:
        if self.replica is None:
            return SqlLive(self.database, clock, finished_seconds)
        return ReplicaPages(self.database, clock, finished_seconds, self.replica, lambda: self.redis_breaker.is_away)

    def surface(self, name: str) -> FallbackStore:
        """Return the one store that serves a surface: rest, stream, ingest or metrics."""
        return FallbackStore(self.stores, name)

    @property
    def is_up(self) -> Mapping[str, Callable[[], bool]]:
        """Tell of each store by name whether it is there."""
        return {"redis": lambda: not self.redis_breaker.is_away, "sql": lambda: not self.sql_breaker.is_away}

    @property
    def probes(self) -> Mapping[str, Probe]:
        """Tell of each part whether it can take work; raising means that it cannot."""
        return {"redis": self._redis_answers, "sql": self._sql_answers, "recorder": self._recorder_keeps_up}

    async def durability(self) -> Durability:
        """Return what Redis is set to do with what it has acknowledged, as far as it lets us ask now."""
        return Durability({}, None) if self.redis_breaker.is_away else await durability(self.own_link)

    @property
    def loops(self) -> Mapping[str, Loop]:
        """What has to run all the time."""
        both = (self.redis_breaker, self.sql_breaker)
        watched = {} if self.replica is None else {"replica": self._watch_replica(self.replica)}
        return {
            **watched,
            "redis": partial(self.redis_breaker.watch, self.restoration.probe, self.restoration.prepare),
            "sql": partial(self.sql_breaker.watch, self.database.revive, self.sql_breaker.pass_by),
            "spill": partial(patient, self.restoration.spill, self.sql_breaker),
            "restoration": partial(patient, self.restoration.run, *both),
            "recorder": partial(patient, self.recorder.run, *both),
            "retention": partial(patient, self.retention.run, *both),
            "baselines": partial(patient, self.baselines.run, self.sql_breaker),
            "watchdog": partial(patient, self.watchdog.run, self.redis_breaker),
            "outbox": partial(patient, self.outbox_bound.watch, self.redis_breaker),
        }

    def _watch_replica(self, replica: Database) -> Loop:
        return partial(self.replica_breaker.watch, replica.ping, self.replica_breaker.pass_by)

    async def start(self) -> None:
        """Migrate the database, and bring both stores up to date with each other, as far as they are there.

        Raises `StartError` if neither is.
        """
        sql_error = await _tried(self.database.open)
        if sql_error is not None:
            self.sql_breaker.open(str(sql_error))
        redis_error = await _tried(self.restoration.prepare)
        if redis_error is not None:
            self.redis_breaker.open(str(redis_error))
        if sql_error is not None and redis_error is not None:
            raise StartError(f"neither store can be reached: {redis_error}; {sql_error}")
        if sql_error is None and redis_error is None:
            await self.recorder.catch_up(CATCH_UP_SECONDS)

    async def close(self) -> None:
        """Close every connection."""
        await self.link.close()
        await self.own_link.close()
        await self.database.close()
        if self.replica is not None:
            await self.replica.close()

    def _overdue_before(self, oldest_at: float | None) -> float | None:
        """Tell, while nothing is recorded, when a job finished that would have left Redis since.

        That is so when SQL is away, or the oldest line waits for long, for whatever reason and whoever records.
        """
        late = self._clock() - GRACE_SECONDS
        is_stuck = self.sql_breaker.is_away or (oldest_at is not None and oldest_at < late)
        return late - self._finished_seconds if is_stuck else None

    async def _redis_answers(self) -> bool:
        await self.link.ping()
        return True

    async def _sql_answers(self) -> bool:
        async with self.database.reading():
            return self.database.takes_writes

    async def _recorder_keeps_up(self) -> bool:
        return self.recorder.behind_seconds < LATE_SECONDS


@asynccontextmanager
async def opened(settings: Settings, metrics: Metrics) -> AsyncIterator[Storage]:
    """Run the stores and all that watches over them while inside; raises `StartError`."""
    async with AsyncExitStack() as stack:
        directory = DataDirectory(settings.data_dir)
        if settings.redis_url is None or settings.database_url is None:
            await directory.acquire()
            stack.callback(directory.release)
        redis_url, loops = settings.redis_url, dict[str, Loop]()
        if redis_url is None:
            valkey = EmbeddedValkey(directory)
            await valkey.start()
            stack.push_async_callback(valkey.stop)
            redis_url, loops["valkey"] = valkey.url, valkey.watch
        sqlite = f"sqlite:///{directory.path.absolute()}/history.db"
        storage = Storage(settings, redis_url, settings.database_url or sqlite, metrics)
        stack.push_async_callback(storage.close)
        await storage.start()
        if settings.redis_url is not None:
            await tell_durability(storage.own_link)
        for name, loop in {**loops, **storage.loops}.items():
            await stack.enter_async_context(looping(name, loop, metrics))
        yield storage


async def _tried(work: Loop) -> Unavailable | None:
    """Try something until it works; return why it did not in time."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + PATIENCE_SECONDS
    while True:
        try:
            await work()
        except Unavailable as error:
            if clock() > deadline:
                return error
        else:
            return None
        await asyncio.sleep(TRY_AGAIN_SECONDS)


def _history(primary: SqlHistory, replica: Database | None) -> History:
    return primary if replica is None else ReplicaHistory(primary, replica)


def _replica(settings: Settings, breaker: Breaker) -> Database | None:
    url = settings.database_read_url
    return None if url is None else Database(url, settings.store_timeout_seconds, breaker)


def _terms(settings: Settings) -> Terms:
    return Terms(
        settings.finished_ttl_seconds,
        settings.history_days * DAY_SECONDS,
        Patience(settings.lost_seconds, settings.abandoned_days * DAY_SECONDS),
    )
