"""The nouns: an update, a job and what it is made of. Immutable values without behaviour.

They are named tuples: a copy with one field changed, of which an update makes about ten, takes 0.8 us with twenty
fields, and 5.7 us of a frozen dataclass (docs/design/merge.md).
"""

from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import Any, NamedTuple

from sidecar.core.ledger import EMPTY, Ledger
from sidecar.core.peaks import Number, Peaks, Rank

Json = Any
"""A JSON value: None, bool, int, float, str, list or dict of these."""


NOTHING: Mapping[str, Any] = {}
"""Stands where nothing was given. A plain dict, as encoders know no other mapping; nothing ever writes to it."""


class Status(StrEnum):
    """Where a job is in its life; the last four are finished ones, in the order that decides a tie."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    BLOCKED = "blocked"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def is_finished(self) -> bool:
        """Whether nothing more is expected (a lost job alone may come back)."""
        return self in FINISHED


FINISHED = (Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.LOST)


class Reason(StrEnum):
    """What became of an update."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    STALE_ATTEMPT = "stale_attempt"
    LATE = "late"
    OUT_OF_ORDER = "out_of_order"
    TOO_OLD = "too_old"
    CONFLICT = "conflict"


class Request(Enum):
    """What an operator may ask of a worker."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"


class PlannedStage(NamedTuple):
    """A stage that the worker announces; weights are relative to each other."""

    name: str
    weight: float = 1.0
    label: str | None = None


class Update(NamedTuple):
    """One report of a worker, checked in form but not yet against the job.

    `identity` is unique to the request and ranks an update without `seq`; `key` is the client's idempotency key;
    `digest` tells two bodies under one identity apart. `words` are the newest-wins fields of an attempt that were
    given (`status`, `message`, `detail`, `blocked_on`, `error`, `result`, `total`, `total_growing`), `facts` those
    that outlive an attempt (`unit`, `labels`, `resume`, `parent_id`, `trace_id`, `interval_seconds`,
    `deadline_at`, `max_runtime_seconds`); a given null is a word too. `said` is all that was
    given beyond who reports (empty for a heartbeat): it goes on the timeline when it comes too late to count.
    `trace_id` is the trace that the request belonged to, which is the job's unless its worker names another;
    `usual` is what the attempt keeps of its type's past if this update begins it. `is_weighed`: the plan gives weights.
    """

    job_id: str
    identity: str
    writer: str = ""
    seq: int | None = None
    key: str | None = None
    digest: str = ""
    project: str | None = None
    job_type: str | None = None
    attempt: int | None = None
    plan: tuple[PlannedStage, ...] | None = None
    is_weighed: bool = True
    stage: str | None = None
    stage_completed: bool = False
    rewind: bool = False
    current: Number | None = None
    percent: float | None = None
    stage_percent: float | None = None
    items: Mapping[str, Number] = NOTHING
    add_current: int | None = None
    add_items: Mapping[str, int] = NOTHING
    words: Mapping[str, Json] = NOTHING
    facts: Mapping[str, Json] = NOTHING
    metadata: Mapping[str, Json] = NOTHING
    event: "WorkerEvent | None" = None
    said: Mapping[str, Json] = NOTHING
    trace_id: str | None = None
    usual: tuple["Usual", ...] = ()

    @property
    def is_heartbeat(self) -> bool:
        """Whether nothing was said but that the worker lives."""
        return not self.said


class WorkerEvent(NamedTuple):
    """A line that a worker wants on the timeline."""

    type: str
    details: Mapping[str, Json] = NOTHING


class Event(NamedTuple):
    """A line of the timeline; `number` counts within the job, `id` is the same wherever the event is made."""

    id: str
    number: int
    type: str
    at: float
    attempt: int
    details: Mapping[str, Json] = NOTHING


class Register(NamedTuple):
    """A newest-wins value and the rank of the update that gave it."""

    rank: Rank
    value: Json


Registers = Mapping[str, Register]


class Stage(NamedTuple):
    """What was reported of one stage; the stage named "" holds what was reported of the job itself.

    `first` and `named` are the lowest and highest ranks that named it, `ended` the highest that completed it.
    """

    first: Rank
    named: Rank
    current: Peaks = ()
    percent: Peaks = ()
    words: Registers = NOTHING
    ended: Rank | None = None
    started_at: float | None = None
    finished_at: float | None = None


class Final(NamedTuple):
    """How an attempt ended."""

    at: float
    status: Status
    error: Json = None
    result: Json = None


class Point(NamedTuple):
    """A moment at which the job had moved: job percent (0-100) and the count of the stage then running."""

    at: float
    percent: float
    current: Number | None
    stage: str


class Shown(NamedTuple):
    """The largest percent shown since the rewind with the rank `since`."""

    since: Rank | None = None
    percent: float = 0.0


class StallReason(StrEnum):
    """Why a job is thought to be stuck."""

    SILENT = "silent"
    NO_PROGRESS = "no_progress"
    OVERDUE = "overdue"
    DEADLINE = "deadline"
    NOT_STARTED = "not_started"
    CANCEL_STUCK = "cancel_stuck"


class Stall(NamedTuple):
    """What a job is stuck at: since when its clock ran (Unix seconds), and how long that may be."""

    reason: StallReason
    since: float
    threshold_seconds: float


class Usual(NamedTuple):
    """How long (seconds) a stage usually takes, as its type's last runs were when the attempt began.

    `stage` "" stands for the whole job. `until_seconds` is the time from the begin of the job to the end of the
    stage, `after_seconds` that from there to the end of the job, which is multiplied by the power `slope` of how much
    longer than usual it took until then. `low` and `high`, of either, are the first and the last decile as multiples.
    A share of it is done in that share's power `curve` of its time.
    """

    stage: str
    seconds: float
    low: float
    high: float
    until_seconds: float
    after_seconds: float = 0.0
    slope: float = 0.0
    after_low: float = 1.0
    after_high: float = 1.0
    curve: float = 1.0


class Promise(NamedTuple):
    """What was said of the end at a moment (Unix seconds): in how many seconds it would come."""

    at: float
    seconds: float


class Attempt(NamedTuple):
    """One try at the job: all that starts again when the work does.

    `waiting_since` is when it last began to wait, paused or blocked (Unix seconds); `waited_seconds` is how long the
    waits took that are over, from the begin of its work on.
    """

    number: int
    newest: Rank
    writers: Mapping[str, Ledger] = NOTHING
    keys: Ledger = EMPTY
    added: Mapping[str, int] = NOTHING
    words: Registers = NOTHING
    worked: Rank | None = None
    stages: Mapping[str, Stage] = NOTHING
    percent: Peaks = ()
    items: Mapping[str, Peaks] = NOTHING
    rewound: Rank | None = None
    shown: Shown = Shown()
    points: tuple[Point, ...] = ()
    final: Final | None = None
    lost_at: float | None = None
    cancel_requested: bool = False
    pause_asked: int = 0
    started_at: float | None = None
    sampled_at: float | None = None
    opened_at: float | None = None
    resumed_at: float | None = None
    cancel_asked_at: float | None = None
    waiting_since: float | None = None
    waited_seconds: float = 0.0
    stall: Stall | None = None
    usual: tuple[Usual, ...] = ()
    halfway: Promise | None = None
    unknown: Mapping[str, Json] = NOTHING


class Job(NamedTuple):
    """One run of some work, as stored: registers and maxima from which everything shown is derived.

    Times are Unix seconds of the server's clock. `lineage` names the store that now owns the job, `version`
    counts its visible changes, `event_count` its timeline. `unknown`, here and in an attempt, is what a newer release
    has stored beside: it is kept as it is.
    """

    job_id: str
    project: str
    job_type: str
    attempt: Attempt
    created_at: float
    updated_at: float
    last_contact_at: float
    last_progress_at: float
    facts: Registers = NOTHING
    metadata: Registers = NOTHING
    plan: Register | None = None
    lineage: str = ""
    version: int = 0
    event_count: int = 0
    unknown: Mapping[str, Json] = NOTHING
