"""What the watchers of a project are told after a gap: from where on, and up to where it stands."""

from sidecar.hub.backlog import JOBS_A_READ
from sidecar.hub.broadcast import Broadcast
from sidecar.hub.channel import Channel
from sidecar.ports import Cursor, Feed, Missed

END_OF_TIME = 2**62
"""A rev after which there is nothing: who asks for it learns where a project stands."""


async def tell_since(feed: Feed, project: str, channel: Channel, rev: int) -> Cursor:
    """Tell what changed after a rev and is news; return where the project stands."""
    while True:
        missed = await feed.since(project, rev, JOBS_A_READ)
        changes = [Broadcast.of(each) for each in missed.changes]
        await channel.tell_whole(changes)
        if not missed.is_more:
            return missed.cursor
        rev = changes[-1].cursor.rev


def places_of(channel: Channel) -> list[Cursor]:
    """Return up to where the watchers of a project have seen everything: none if nobody has seen anything."""
    return list(channel.floors()) if channel.place is None else [channel.place]


def start_of(channel: Channel, now: Missed) -> int | None:
    """Return the rev after which the watchers of a project have yet to be told, None if they read for themselves."""
    places = places_of(channel)
    least = min((place.rev for place in places), default=None)
    if least is None or all(is_before(place, now.cursor) for place in places):
        return least
    return 0 if channel.place is None else min(least, now.base)


def is_before(place: Cursor, now: Cursor) -> bool:
    """Whether a place is one that led to where a project stands now."""
    return place.epoch == now.epoch and place.rev <= now.rev
