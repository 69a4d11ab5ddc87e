"""Which changes somebody hears of: pure decisions over changes that the test makes."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sidecar.hub.broadcast import Broadcast, Form
from sidecar.hub.channel import Channel
from sidecar.hub.selection import EVERYTHING, JOBS_REMEMBERED, Membership, Selection, only
from sidecar.hub.traffic import Traffic
from sidecar.hub.watcher import Watcher
from sidecar.ports import Cursor

RUNNING = Selection(statuses=frozenset({"running"}))
FORM = Form(lambda change: b"%s %d;" % (change.job_id.encode(), change.cursor.rev), bytes, b"", is_whole=False)


def change(rev: int, status: str = "running", job_id: str = "j", job_type: str = "t") -> Broadcast:
    """Return a job's change as a notice brings it."""
    row = b'{"job_type":"%s","status":"%s"}' % (job_type.encode(), status.encode())
    is_end = status in ("completed", "failed", "cancelled")
    return Broadcast(job_id, Cursor("e", rev), rev, is_end=is_end, row=row)


def gone(rev: int, job_id: str = "j") -> Broadcast:
    """Return the word of a job that was deleted."""
    return Broadcast(job_id, Cursor("e", rev))


class Page:
    """An `Outlet` that takes everything, and keeps it."""

    written_at = 0.0

    def __init__(self) -> None:
        self.read = b""
        self.held_bytes = 0
        self.traffic = Traffic()

    def write(self, data: bytes) -> bool:
        self.read += data
        return True

    async def drain(self) -> None:
        """Wait for nothing."""

    @property
    def is_closed(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("wanted", "is_wanted"),
    [
        (EVERYTHING, True),
        (only("j"), True),
        (only("other"), False),
        (Selection(job_ids=frozenset({"i", "j"})), True),
        (Selection(job_type="t"), True),
        (Selection(job_type="other"), False),
        (Selection(statuses=frozenset({"paused", "running"})), True),
        (Selection(statuses=frozenset({"paused"})), False),
        (Selection("t", frozenset({"running"}), frozenset({"j"})), True),
        (Selection("other", frozenset({"running"}), frozenset({"j"})), False),
        (Selection("t", frozenset({"paused"}), frozenset({"j"})), False),
        (Selection("t", frozenset({"running"}), frozenset({"i"})), False),
    ],
)
def test_a_job_belongs_if_every_part_of_the_selection_says_so(wanted: Selection, *, is_wanted: bool) -> None:
    assert wanted.has(change(1)) is is_wanted


def test_a_status_does_not_tell_of_which_type_a_job_is() -> None:
    assert Selection("t", frozenset({"paused"})).has_type(change(1))
    assert not Selection("other", frozenset({"running"})).has_type(change(1))


@pytest.mark.parametrize("wanted", [EVERYTHING, RUNNING, Selection(job_type="t"), only("j")])
def test_a_job_that_is_gone_belongs_wherever_its_id_does(wanted: Selection) -> None:
    assert wanted.has(gone(1))
    assert not only("other").has(gone(1))


@pytest.mark.parametrize(
    ("wanted", "is_filtered"),
    [(EVERYTHING, False), (only("j"), False), (Selection(job_type="t"), True), (RUNNING, True)],
)
def test_a_selection_is_filtered_by_what_only_the_job_can_tell(wanted: Selection, *, is_filtered: bool) -> None:
    assert wanted.is_filtered is is_filtered


Step = Callable[[int], Broadcast]


def as_(status: str) -> Step:
    return lambda rev: change(rev, status)


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([as_("running"), as_("paused"), as_("paused"), as_("running")], [1, 2, 4]),
        ([as_("queued"), as_("queued"), as_("running"), as_("completed")], [3, 4]),
        ([as_("running"), as_("completed"), gone], [1, 2]),
        ([as_("queued"), gone], []),
        ([as_("running"), gone], [1, 2]),
        ([as_("running"), as_("failed"), as_("running"), as_("completed")], [1, 2, 3, 4]),
    ],
)
def test_a_job_that_leaves_is_told_once_more_and_no_other(steps: list[Step], told: list[int]) -> None:
    members = Membership(RUNNING)
    assert [rev for rev, step in enumerate(steps, 1) if members.wants(step(rev))] == told


def test_a_job_that_nothing_is_known_of_is_told_as_somebody_may_know_it() -> None:
    members = Membership(RUNNING)
    assert members.wants(change(7, "paused"))
    assert not members.wants(change(8, "paused"))


def test_a_job_that_was_told_to_be_outside_is_not_told_until_it_comes_in() -> None:
    members = Membership(RUNNING)
    assert members.wants(change(7, "paused"))
    assert not members.wants(change(8, "paused"))
    assert members.wants(change(9))


def test_a_job_of_another_type_is_never_told() -> None:
    members = Membership(Selection(job_type="other"))
    assert not any(members.wants(change(rev)) for rev in range(1, 5))


def test_only_so_many_jobs_are_remembered_to_be_outside() -> None:
    members = Membership(RUNNING)
    for number in range(JOBS_REMEMBERED + 1):
        members.wants(change(5, "paused", job_id=f"j{number}"))
    assert [members.wants(change(6, "paused", job_id=f"j{number}")) for number in (2, 0)] == [False, True]


async def _watching(*revs: int) -> tuple[Channel, Page]:
    """Return a channel with one watcher of running jobs that has been told of a running job."""
    channel, page = Channel(), Page()
    watcher = Watcher(FORM, page, ends_with_job=False)
    channel.add(RUNNING, watcher)
    watcher.saw(Cursor("e", 0))
    following = asyncio.create_task(watcher.follow())
    await asyncio.sleep(0)
    for rev in revs:
        await channel.tell([change(rev)], {})
    following.cancel()
    return channel, page


@pytest.mark.parametrize("status", ["paused", "completed"])
async def test_what_another_watcher_is_shown_takes_nothing_from_who_has_yet_to_hear_it(status: str) -> None:
    """A snapshot is read from the store, and may overtake the word of the same change."""
    channel, page = await _watching(1)
    left: Any = change(2, status)
    channel.told.show(left)
    await channel.tell([left], {})
    assert page.read == b"j 1;j 2;"


@pytest.mark.parametrize("status", ["paused", "completed"])
async def test_what_was_read_before_a_change_was_told_does_not_undo_it(status: str) -> None:
    """A snapshot may also be overtaken by the word of a newer change."""
    channel, page = await _watching()
    old, new, left = change(1, "queued"), change(2), change(3, status)
    await channel.tell([old], {})
    await channel.tell([new], {})
    channel.told.show(old)
    await channel.tell([left], {})
    assert page.read == b"j 2;j 3;"
