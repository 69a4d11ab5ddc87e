"""What was told of each job: nobody is told anything older, whichever store answers."""

import json

from sidecar.core import merge
from sidecar.core.document import row
from sidecar.core.job import Job
from sidecar.core.view import view
from sidecar.hub import told
from sidecar.hub.broadcast import Broadcast
from sidecar.hub.told import Told
from sidecar.ports import Cursor, Gone, Stored
from tests.core.updates import job_of, push, update

REDIS, SQL = "r1", "s1"
HALF = job_of(update("w", 1, percent=50))
MORE = push(HALF, update("w", 2, percent=60)).job
END = push(MORE, update("w", 3, words={"status": "failed"})).job
AGAIN = push(END, update("w", 4, attempt=2, percent=5)).job
REWOUND = push(MORE, update("w", 3, rewind=True, percent=10)).job
LOST = merge.lose(MORE, MORE.last_contact_at + 100).job


def change(job: Job, epoch: str, rev: int) -> Broadcast:
    """Return word of a job as a store holds it."""
    return Broadcast.of(Stored(view(job), Cursor(epoch, rev)))


def brief(job: Job, epoch: str, rev: int) -> Broadcast:
    """Return word of a job as the broker carries it: only its row."""
    shown = view(job)
    return Broadcast(
        job.job_id, Cursor(epoch, rev), job.version, is_end=shown.is_over, row=json.dumps(row(shown)).encode()
    )


def gone(epoch: str, rev: int) -> Broadcast:
    return Broadcast.of(Gone("job-1", Cursor(epoch, rev)))


def after(*changes: Broadcast) -> Told:
    known = Told()
    for each in changes:
        known.note(each)
    return known


def test_first_word_of_a_job_is_news() -> None:
    assert not after().is_older(change(HALF, REDIS, 1))


def test_other_jobs_do_not_matter() -> None:
    other = change(job_of(update("w", 1))._replace(job_id="job-2"), REDIS, 9)
    assert not after(other).is_older(change(HALF, REDIS, 1))


def test_within_an_epoch_the_order_of_changes_decides() -> None:
    known = after(change(MORE, REDIS, 5))
    assert known.is_older(change(MORE, REDIS, 5))
    assert known.is_older(change(END, REDIS, 4))
    assert not known.is_older(change(HALF, REDIS, 6))


def test_same_version_from_another_epoch_is_no_news() -> None:
    assert after(change(MORE, REDIS, 5)).is_older(change(MORE, SQL, 9))


def test_lower_version_from_another_epoch_is_no_news() -> None:
    assert after(change(MORE, REDIS, 5)).is_older(change(HALF, SQL, 9))


def test_higher_version_from_another_epoch_is_news() -> None:
    assert not after(change(HALF, REDIS, 500)).is_older(change(MORE, SQL, 1))


def test_end_of_a_lower_version_is_held_back_until_the_stores_have_agreed() -> None:
    further = push(push(MORE, update("w", 5, percent=70)).job, update("w", 6, percent=80)).job
    assert END.version < further.version
    assert after(change(further, REDIS, 5)).is_older(change(END, SQL, 1))
    agreed = push(further, update("w", 7, words={"status": "failed"})).job
    assert not after(change(further, REDIS, 5)).is_older(change(agreed, "r2", 1))


def test_store_lacks_what_was_told_until_it_has_come_as_far_again() -> None:
    known = after(change(MORE, REDIS, 5))
    assert known.lacks(change(HALF, SQL, 9))
    assert known.lacks(change(HALF._replace(version=MORE.version + 1), SQL, 9))
    assert not known.lacks(change(MORE, SQL, 9))
    assert not known.lacks(change(END, SQL, 9))
    assert not known.lacks(change(HALF, REDIS, 6)), "within an epoch the order of changes is all that counts"
    assert not known.lacks(gone(SQL, 9))
    assert not known.lacks(change(HALF._replace(job_id="job-2"), SQL, 9))


def test_higher_version_that_would_lower_the_percent_is_held_back() -> None:
    behind = HALF._replace(version=MORE.version + 1)
    for known in (after(change(MORE, REDIS, 5)), after(brief(MORE, REDIS, 5))):
        assert known.is_older(change(behind, SQL, 1))


def test_held_back_job_is_told_once_it_has_come_as_far_again() -> None:
    known = after(change(MORE, REDIS, 5))
    caught_up = MORE._replace(version=MORE.version + 2)
    assert not known.is_older(change(caught_up, SQL, 2))
    assert not known.is_older(brief(caught_up, SQL, 2))


def test_finished_job_does_not_run_again_in_another_epoch() -> None:
    running = MORE._replace(version=END.version + 3)
    for known in (after(change(END, REDIS, 5)), after(brief(END, REDIS, 5))):
        assert known.is_older(change(running, SQL, 1))


def test_row_does_not_say_whether_it_was_rewound_and_is_told() -> None:
    assert not after(change(MORE, REDIS, 5)).is_older(brief(REWOUND, SQL, 1))


def test_another_attempt_may_begin_low() -> None:
    for known in (after(change(END, REDIS, 5)), after(brief(END, REDIS, 5))):
        assert not known.is_older(change(AGAIN, SQL, 1))
        assert not known.is_older(brief(AGAIN, SQL, 1))


def test_job_that_was_rewound_may_come_back_lower() -> None:
    assert not after(change(MORE, REDIS, 5)).is_older(change(REWOUND, SQL, 1))


def test_lost_job_may_come_back() -> None:
    back = push(LOST, update("w", 9, percent=60)).job
    assert not after(change(LOST, REDIS, 5)).is_older(change(back, SQL, 1))


def test_deletion_is_news_in_any_epoch() -> None:
    known = after(change(END, REDIS, 5))
    assert not known.is_older(gone(SQL, 1))
    assert not known.is_older(gone(REDIS, 6))
    assert known.is_older(gone(REDIS, 4))


def test_deleted_job_may_begin_anew() -> None:
    assert not after(change(END, REDIS, 5), gone(SQL, 1)).is_older(change(HALF, SQL, 2))


def test_what_a_snapshot_showed_is_not_gone_back_behind_in_another_epoch() -> None:
    known = after(change(HALF, REDIS, 5))
    known.show(change(END, SQL, 7))
    assert known.is_older(change(MORE, "r2", 6))
    assert not known.is_older(change(AGAIN, "r2", 7))


def test_end_that_a_snapshot_showed_to_one_is_told_to_the_others_by_another_store_too() -> None:
    known = after(change(MORE, REDIS, 5))
    known.show(change(END, REDIS, 7))  # it was read before its word had come, which then never came
    for word in (change(END, SQL, 9), brief(END, SQL, 9), change(END, "r2", 1)):
        assert not known.is_older(word)
        assert known.place_shown(word) == Cursor(REDIS, 7)
    assert known.place_shown(change(MORE, SQL, 9)) is known.place_shown(change(END, REDIS, 8)) is None
    known.note(change(END, SQL, 9))
    assert known.is_older(change(END, "r2", 1))


def test_what_a_snapshot_showed_to_one_is_still_told_to_the_others() -> None:
    known = after(change(HALF, REDIS, 5))
    known.show(change(MORE, REDIS, 6))
    assert not known.is_older(change(MORE, REDIS, 6))


def test_older_snapshot_does_not_hide_a_newer_one_of_its_epoch() -> None:
    known = Told()
    known.show(change(END, SQL, 7))
    known.show(change(HALF, SQL, 3))
    assert known.is_older(change(MORE, REDIS, 1))


def test_newest_epoch_is_the_one_that_counts() -> None:
    known = after(change(HALF, REDIS, 50), change(MORE, SQL, 2))
    assert known.is_older(change(HALF, SQL, 1))
    assert not known.is_older(change(END, SQL, 3))


def test_so_many_jobs_are_remembered_and_the_oldest_is_forgotten() -> None:
    known = Told()
    first = change(MORE, REDIS, 1)
    known.note(first)
    for number in range(told.JOBS_REMEMBERED):
        assert known.is_older(first)
        known.note(Broadcast(f"other-{number}", Cursor(REDIS, number + 2), 1, row=b"{}"))
    assert not known.is_older(first)
