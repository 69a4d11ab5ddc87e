"""What the watchdog remembers, in either store."""

from sidecar.adapters.redis.link import RedisLink
from sidecar.adapters.redis.logbook import RedisLogbook
from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.live import SqlLive
from sidecar.adapters.sql.logbook import SqlLogbook
from sidecar.background.watchdog import Logbook, Watch
from sidecar.core.stalls import Settling
from tests.adapters.updates import NOON, push, update


async def check_that_the_last_note_stays(logbook: Logbook) -> None:
    assert await logbook.read() is None
    await logbook.write(Watch(NOON, Settling(NOON - 1, NOON + 1)))
    await logbook.write(Watch(NOON + 5))
    assert await logbook.read() == Watch(NOON + 5)
    await logbook.write(Watch(NOON + 9, Settling(NOON + 9, NOON + 0.25)))
    assert await logbook.read() == Watch(NOON + 9, Settling(NOON + 9, NOON + 0.25))


async def test_redis_keeps_the_last_note(link: RedisLink) -> None:
    await check_that_the_last_note_stays(RedisLogbook(link))


async def test_sql_keeps_the_last_note(database: Database) -> None:
    await check_that_the_last_note_stays(SqlLogbook(database))


async def test_note_of_an_older_release_is_read(link: RedisLink) -> None:
    await link.commands.hset("progress:watchdog", mapping={"evaluated": NOON, "settling": NOON + 60})
    assert await RedisLogbook(link).read() == Watch(NOON, Settling(NOON, NOON + 60))


async def test_before_the_first_note_the_last_word_of_a_job_tells_when_somebody_was_there(database: Database) -> None:
    sql = SqlLive(database, lambda: NOON)
    for number in (7, 9, 8):
        await sql.update(f"j{number}", push(update(f"j{number}", current=1), NOON + number))
    assert await SqlLogbook(database).read() == Watch(NOON + 9)
