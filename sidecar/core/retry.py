"""The next attempt at a job that crashed or failed: begun once for each idempotency key, however often it is asked for.

A new attempt carries on the receipts of the keys that have begun one, so that a repeated request is recognised also
after the attempt that it began has itself been followed by another.
"""

from sidecar.core import ledger, merge
from sidecar.core.errors import Conflict, InvalidUpdate
from sidecar.core.job import Attempt, Reason, Status, Update
from sidecar.core.ledger import EMPTY, Ledger
from sidecar.core.merge import Outcome
from sidecar.core.view import View
from sidecar.core.window import NO_AMOUNTS

BEGAN = "began/"
"""Before the number of the attempt in the digest of a key's receipt; no body's digest looks like it."""

MOST_ATTEMPTS = 2**31 - 1

DONE = (Status.COMPLETED, Status.CANCELLED)
"""How a job ends that nothing is left to try of."""


def asked(before: View, update: Update) -> Update:
    """Return the update that begins the next attempt of a job."""
    number = before.job.attempt.number + 1
    return update._replace(attempt=number, digest=f"{BEGAN}{number}")


def begun(before: View, update: Update, now: float) -> Outcome:
    """Return the job in the attempt that the update (of `asked`) begins, unchanged if its key has begun one before.

    Raises `Conflict` for a job that is done, `InvalidUpdate` for a key that was used for a report.
    """
    job = before.job
    if update.key is not None and job.attempt.keys.window.find(update.key) is not None:
        if begun_by(job.attempt, update.key) is None:
            raise InvalidUpdate("Idempotency-Key", "was used before for a report")
        return Outcome(job, before, Reason.DUPLICATE, applied=False)
    if before.status in DONE:
        raise Conflict(f"the job is {before.status}: nothing is left to try again")
    if job.attempt.number >= MOST_ATTEMPTS:
        raise Conflict("the job has had as many attempts as there can be")
    outcome = merge.applied(before, update, now)
    following = outcome.job._replace(
        attempt=outcome.job.attempt._replace(keys=_carried(job.attempt.keys, outcome.job.attempt.keys))
    )
    return outcome._replace(job=following, view=outcome.view._replace(job=following))


def begun_by(attempt: Attempt, key: str) -> int | None:
    """Return the number of the attempt that a key has begun, None if it has begun none."""
    receipt = attempt.keys.window.find(key)
    if receipt is None or not receipt.digest.startswith(BEGAN):
        return None
    return int(receipt.digest.removeprefix(BEGAN))


def _carried(former: Ledger, present: Ledger) -> Ledger:
    """Return the keys of an attempt, after those that began earlier ones."""
    keys = EMPTY
    for known in (former, present):
        for identity, receipt in known.window.receipts():
            if receipt.digest.startswith(BEGAN):
                keys = ledger.accept(
                    keys,
                    identity,
                    digest=receipt.digest,
                    amounts=NO_AMOUNTS,
                    lineage=receipt.lineage,
                    at=receipt.at,
                )
    return keys
