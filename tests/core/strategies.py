"""Updates of one attempt, for Hypothesis: every field that a worker may send, from three writers."""

from dataclasses import dataclass
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from sidecar.core.job import PlannedStage, Update, WorkerEvent
from tests.core.updates import update

WRITERS = ("", "a", "b")
STAGES = ("read", "solve", "save", "extra", "other")
"""Three that plans name, two that none does."""

KINDS = ("rows", "errors")
MOST_SEQ = 2**63 - 1

SEQS = st.one_of(st.integers(0, 40), st.integers(0, 100_000), st.integers(0, MOST_SEQ))
COUNTS = st.integers(0, 50)
NUMBERS = st.one_of(COUNTS, st.floats(0, 50, width=16))
PERCENTS = st.one_of(st.integers(0, 100), st.floats(0, 100))
TEXTS = st.sampled_from(("one", "two", "three"))
JSON = st.one_of(
    st.none(), st.booleans(), TEXTS, st.lists(COUNTS, max_size=2), st.dictionaries(TEXTS, COUNTS, max_size=2)
)


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects with any of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


WORDS = objects(
    status=st.sampled_from(("queued", "running", "paused", "blocked")),
    message=TEXTS,
    detail=TEXTS,
    blocked_on=TEXTS,
    error=JSON,
    result=JSON,
    total=st.one_of(st.none(), NUMBERS),
    total_growing=st.booleans(),
)
FACTS = objects(
    unit=TEXTS,
    labels=st.dictionaries(TEXTS, TEXTS, max_size=2),
    resume=JSON,
    parent_id=TEXTS,
    trace_id=TEXTS,
    interval_seconds=COUNTS,
    deadline_at=COUNTS,
    max_runtime_seconds=COUNTS,
)
PLANS = st.lists(
    st.builds(PlannedStage, st.sampled_from((*STAGES[:3], "spare")), st.sampled_from((0, 1, 2.5, 10)), TEXTS),
    min_size=1,
    max_size=4,
    unique_by=lambda stage: stage.name,
).map(tuple)


@dataclass(frozen=True)
class Habits:
    """How the workers of one job report: in stages or not, and who adds to a counter that others set."""

    staged: bool
    adders: frozenset[tuple[str, str]]


HABITS = st.builds(
    Habits, st.booleans(), st.frozensets(st.tuples(st.sampled_from(WRITERS), st.sampled_from(("current", *KINDS))))
)


@st.composite
def bodies(draw: st.DrawFn, habits: Habits, writer: str) -> dict[str, Any]:
    """Return the fields of one update; two of the writers know of a plan."""
    fields: dict[str, st.SearchStrategy[Any]] = {
        "percent": PERCENTS,
        "stage_percent": PERCENTS,
        "words": WORDS,
        "facts": FACTS,
        "metadata": st.dictionaries(TEXTS, JSON, max_size=2),
        "event": st.builds(WorkerEvent, TEXTS, st.just({"n": 1})),
        "rewind": st.sampled_from((False, False, True)),
        "stage_completed": st.sampled_from((False, False, True)),
    }
    for kind in ("items", "add_items"):
        mine = [name for name in KINDS if ((writer, name) in habits.adders) == (kind == "add_items")]
        fields[kind] = st.dictionaries(st.sampled_from(mine), COUNTS, min_size=1) if mine else st.just({})
    fields["add_current" if (writer, "current") in habits.adders else "current"] = COUNTS
    if writer != WRITERS[2]:
        fields["plan"] = PLANS
    body = draw(objects(**fields))
    return {**body, "stage": draw(st.sampled_from(STAGES))} if habits.staged and body else body


@st.composite
def updates(draw: st.DrawFn, habits: Habits, most: int = 10) -> list[Update]:
    """Return updates with unique (writer, seq), an empty one (a heartbeat) now and then."""
    who = draw(st.lists(st.tuples(st.sampled_from(WRITERS), SEQS), min_size=1, max_size=most, unique=True))
    return [update(writer, seq, **draw(bodies(habits, writer))) for writer, seq in who]


@st.composite
def reports(draw: st.DrawFn, most: int = 10) -> list[Update]:
    """Return updates of workers with any habits."""
    return draw(updates(draw(HABITS), most))


@dataclass(frozen=True)
class Order:
    """Updates, and the same in another order, some of them several times."""

    updates: list[Update]
    shuffled: list[Update]


@st.composite
def orders(draw: st.DrawFn, most: int = 10) -> Order:
    """Return updates of every kind in two orders."""
    updates = draw(reports(most))
    again = draw(st.lists(st.sampled_from(updates), max_size=4))
    return Order(updates, draw(st.permutations([*updates, *again])))


@dataclass(frozen=True)
class Split:
    """A job that grew apart after `prefix`: each side took its own updates and then, both, the `shared` ones.

    `order` is one in which a single store might have taken all that came after the prefix.
    """

    prefix: tuple[Update, ...]
    left: tuple[Update, ...]
    right: tuple[Update, ...]
    shared: tuple[Update, ...]
    order: tuple[Update, ...]


@st.composite
def splits(draw: st.DrawFn, most: int = 12) -> Split:
    """Return a split of a few updates of every kind, dealt to the sides at random."""
    given = draw(reports(most))
    dealt = draw(st.lists(st.integers(0, 3), min_size=len(given), max_size=len(given)))
    prefix, *rest = (tuple(u for u, place in zip(given, dealt, strict=True) if place == part) for part in range(4))
    left, right, shared = rest
    assume(prefix or shared or (left and right))
    return Split(prefix, left, right, shared, tuple(draw(st.permutations([*left, *right, *shared]))))


def increment(writer: str, seq: int, amount: int) -> Update:
    """Return an update that adds to two counters."""
    return update(writer, seq, stage="solve", add_current=amount, add_items={"rows": amount % 2})


@dataclass(frozen=True)
class Burst:
    """Increments of one writer in a row."""

    writer: str
    count: int
    gap: int
    amount: int

    def updates(self, first_seq: int) -> tuple[Update, ...]:
        """Return them with seqs from `first_seq` up."""
        seqs = range(first_seq, first_seq + self.gap * self.count, self.gap)
        return tuple(increment(self.writer, seq, self.amount + seq % 3) for seq in seqs)


BURSTS = st.builds(
    Burst,
    writer=st.sampled_from(WRITERS),
    count=st.sampled_from((0, 1, 5, 127, 128, 130, 200, 400)),
    gap=st.sampled_from((1, 2, 1_000)),
    amount=st.integers(1, 5),
)
"""So many now and then that the writer's window folds."""


@dataclass(frozen=True)
class LongSplit:
    """A split in which writers push for long on either side, or one writer on both.

    The sides take turns in the common order, `chunk` updates each, but each writer's own stay in the order of their
    seqs: one that comes more than a window too late is refused.
    """

    prefix: Burst
    left: Burst
    right: Burst
    chunk: int
    has_shared: bool

    def split(self) -> Split:
        """Return the updates."""
        left, right = self.left.updates(1_000_000), self.right.updates(2_000_000)
        shared = tuple(increment(writer, 3_000_000, 7) for writer in WRITERS) if self.has_shared else ()
        turns = [(number // self.chunk, side, u) for side in (0, 1) for number, u in enumerate((left, right)[side])]
        slots = [u.writer for _, _, u in sorted(turns, key=lambda turn: turn[:2])]
        queues = {name: iter([u for u in (*left, *right) if u.writer == name]) for name in WRITERS}
        order = (*(next(queues[name]) for name in slots), *shared)
        return Split(self.prefix.updates(1), left, right, shared, order)


LONG_SPLITS = st.builds(
    LongSplit, BURSTS, BURSTS, BURSTS, chunk=st.sampled_from((1, 7, 150, 1_000)), has_shared=st.booleans()
).filter(lambda long: long.prefix.count or long.has_shared or (long.left.count and long.right.count))
