"""Two versions of one attempt that grew apart, united: the part of a job that makes `join` exact."""

from sidecar.core import ledger, stages
from sidecar.core.job import Attempt, Final, Shown, Status
from sidecar.core.ledger import EMPTY
from sidecar.core.peaks import merged


def joined(a: Attempt, b: Attempt) -> Attempt:
    """Return what either side was told of one attempt."""
    keys = ledger.joined(a.keys, b.keys, ledger.KEYS_REMEMBERED)
    writers = {
        name: ledger.joined(a.writers.get(name, EMPTY), b.writers.get(name, EMPTY), ledger.SEQS_REMEMBERED)
        for name in sorted(a.writers.keys() | b.writers.keys())
    }
    rewound = stages.latest(a.rewound, b.rewound)
    final = _first_end(a, b)
    return Attempt(
        number=a.number,
        newest=max(a.newest, b.newest),
        writers=writers,
        keys=keys,
        added=ledger.total(map(ledger.counted, [keys, *writers.values()])),
        words=stages.newest_of_each(a.words, b.words),
        worked=stages.latest(a.worked, b.worked),
        stages={
            name: stages.joined(a.stages.get(name) or b.stages[name], b.stages.get(name) or a.stages[name])
            for name in sorted(a.stages.keys() | b.stages.keys())
        },
        percent=merged(a.percent, b.percent),
        items={
            kind: merged(a.items.get(kind, ()), b.items.get(kind, ()))
            for kind in sorted(a.items.keys() | b.items.keys())
        },
        rewound=rewound,
        shown=Shown(rewound, max(side.shown.percent if side.shown.since == rewound else 0.0 for side in (a, b))),
        points=max(
            (side.points for side in (a, b) if side.rewound == rewound),
            key=lambda points: [(p.at, p.percent, repr(points)) for p in points[-1:]],
        ),
        final=final,
        lost_at=stages.latest(a.lost_at, b.lost_at),
        cancel_requested=a.cancel_requested or b.cancel_requested,
        pause_asked=max(a.pause_asked, b.pause_asked),
        started_at=stages.earliest(a.started_at, b.started_at),
        sampled_at=stages.latest(a.sampled_at, b.sampled_at),
        opened_at=stages.earliest(a.opened_at, b.opened_at),
        resumed_at=stages.latest(a.resumed_at, b.resumed_at),
        cancel_asked_at=stages.earliest(a.cancel_asked_at, b.cancel_asked_at),
        waiting_since=stages.latest(a.waiting_since, b.waiting_since),
        waited_seconds=max(a.waited_seconds, b.waited_seconds),
        stall=None if final is not None else max(filter(None, (a.stall, b.stall)), key=lambda x: x[1:], default=None),
        usual=max(a.usual, b.usual),
        halfway=min((side.halfway for side in (a, b) if side.halfway and side.rewound == rewound), default=None),
        unknown=stages.either(a.unknown, b.unknown),
    )


def _first_end(a: Attempt, b: Attempt) -> Final | None:
    """Return how an attempt ended first, None if it has not."""
    return min(
        (final for final in (a.final, b.final) if final is not None),
        key=lambda final: (final.at, list(Status).index(final.status), repr(final)),
        default=None,
    )
