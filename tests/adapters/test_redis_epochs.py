"""Where epochs begin, on a real Valkey."""

from sidecar.adapters.redis.epochs import RedisEpochs
from sidecar.adapters.redis.keys import ProjectKeys
from sidecar.adapters.redis.link import RedisLink
from sidecar.adapters.redis.live import RedisLive
from tests.adapters.updates import push, update


async def test_second_sidecar_that_renews_an_epoch_does_not_pass_over_what_the_first_has_just_told(
    store: RedisLive, link: RedisLink
) -> None:
    epochs = RedisEpochs(link)
    for number in range(5):
        await store.update("a", push(update("a", current=number)))
    rev = ProjectKeys("default").index("rev")
    await link.commands.hdel(rev, "begun")
    before = (await epochs.places(set()))["default"].cursor.rev
    await epochs.renew("default", before, is_forced=True)
    await store.update("b", push(update("b", current=1)))  # what the first sidecar tells
    between = (await epochs.places(set()))["default"].cursor.rev
    await epochs.renew("default", between, is_forced=True)
    assert (before, between) == (5, 6)
    assert (await store.since("default", 0, 10)).base == before


async def test_epoch_that_begins_long_after_another_one_knows_best_itself(store: RedisLive, link: RedisLink) -> None:
    epochs = RedisEpochs(link)
    for number in range(5):
        await store.update("a", push(update("a", current=number)))
    await epochs.renew("default", 5, is_forced=True)
    await link.commands.hincrby(ProjectKeys("default").index("rev"), "begun", -61)
    await store.update("b", push(update("b", current=1)))
    await epochs.renew("default", 6, is_forced=True)
    assert (await store.since("default", 0, 10)).base == 6
