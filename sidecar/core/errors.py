"""Everything that can go wrong on purpose, in one tree.

    SidecarError
    +-- InvalidUpdate          the request contradicts the rules; names the field     HTTP 422
    +-- Conflict               the job's state does not allow it                      HTTP 409
    +-- Forbidden              outside the token's role or projects                   HTTP 403
    +-- UnknownJob             no such job, or none that the reader may see           HTTP 404
    +-- Unavailable            it would work later                                    HTTP 503
    |   +-- StoreUnavailable   the store does not answer
    |   |   +-- HistoryUnavailable   that of the past, in SQL
    |   |       +-- HistoryBusy      it answers, but not all that is asked of it
    |   +-- StoreRefused       the store answers, but takes no writes now
    |   |   +-- Unreadable       what it holds is of a newer format, or damaged
    |   +-- Overloaded         a bound of ours is reached
    +-- StartError             the sidecar cannot start; tells the operator why       exit code 1

A row ends in what the boundary makes of it.
"""


class SidecarError(Exception):
    """The root; its text is one sentence that may be shown to whoever caused it."""


class InvalidUpdate(SidecarError):
    """The request contradicts the rules of the API.

    `field` is the path of the offending field as the client wrote it (`add.items.issues`).
    """

    def __init__(self, field: str, message: str) -> None:
        """Keep the field beside the sentence."""
        super().__init__(message)
        self.field = field
        self.message = message


class Conflict(SidecarError):
    """The job's present state does not allow what was asked."""


class Forbidden(SidecarError):
    """The caller's token does not reach that far."""


class UnknownJob(SidecarError):
    """There is no such job, or none that this reader may see."""


class Unavailable(SidecarError):
    """It cannot be done now and may be tried again after `retry_after_seconds`."""

    retry_after_seconds: int = 1


class StoreUnavailable(Unavailable):
    """The store did not answer in time or refused the connection."""


class HistoryUnavailable(StoreUnavailable):
    """SQL did not answer in time or refused the connection."""


class HistoryBusy(HistoryUnavailable):
    """SQL answers, but more is asked of it than it can do."""


class HistoryRefused(HistoryUnavailable):
    """SQL answers, and refuses what it is told: a mistake of ours, and no outage."""


class StoreRefused(Unavailable):
    """The store answers but takes no writes (out of memory, disk errors, read-only)."""

    retry_after_seconds = 5


class Unreadable(StoreRefused):
    """What is stored of a job is of a format that this release does not know, or damaged."""


class Overloaded(Unavailable):
    """A bound of the sidecar itself is reached."""


class StartError(SidecarError):
    """The sidecar cannot start or go on; the text tells an operator what to change."""
