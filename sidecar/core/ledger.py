"""Which updates have been counted: each increment exactly once, even across a split of the stores.

A writer's ledger holds a receipt for each of its last updates, by seq, and a sum for everything older. Receipts
are numbered in the order of acceptance and carry the name of the store's lineage that accepted them; what falls
out of the window is added to the sum of *its own* lineage, oldest first. So the sum of a lineage always covers a
prefix of that lineage's receipts, and two versions of a ledger that grew apart unite exactly: of each lineage the
longer prefix, and every receipt that no prefix covers. (The same idea as the causal context of a dotted version
vector: Almeida et al., "Scalable and Accurate Causality Tracking for Eventually Consistent Stores", 2014.)

The one thing that this cannot see: the same seq accepted on both sides of a split *and* pushed out of the window
on one of them by 128 later updates of that writer. It then counts twice.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import islice

Identity = int | str
"""A writer's seq, or an idempotency key."""

Amounts = Mapping[str, int]
"""Increments by counter: `current:STAGE` or `items:KIND`."""

SEQS_REMEMBERED = 128
KEYS_REMEMBERED = 256
KEY_LIFETIME_SECONDS = 24 * 3600.0


class Recognition(Enum):
    """What a ledger says of an update that arrives."""

    NEW = "new"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    TOO_OLD = "too_old"


@dataclass(frozen=True, slots=True)
class Receipt:
    """One counted update: its place in its lineage, a digest of its body and what it added."""

    lineage: str
    number: int
    digest: str
    at: float
    amounts: Amounts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Folded:
    """The sum of a lineage's receipts up to and including number `upto`."""

    upto: int
    amounts: Amounts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ledger:
    """What one writer (or all idempotency keys of a job) has been counted for.

    `floor` is the highest seq without a receipt any more: at or below it nothing is recognised again. `top` is
    the highest seq accepted. `absolutes` and `increments` name the counters reported in either way.
    """

    receipts: Mapping[Identity, Receipt] = field(default_factory=dict)
    folded: Mapping[str, Folded] = field(default_factory=dict)
    clock: int = 0
    floor: int = -1
    top: int = -1
    last_at: float = 0.0
    absolutes: frozenset[str] = frozenset()
    increments: frozenset[str] = frozenset()


EMPTY = Ledger()


def recognise(ledger: Ledger, identity: Identity, digest: str) -> Recognition:
    """Tell whether this update has been counted before."""
    receipt = ledger.receipts.get(identity)
    if receipt is not None:
        return Recognition.DUPLICATE if receipt.digest == digest else Recognition.CONFLICT
    if isinstance(identity, int) and identity <= ledger.floor:
        return Recognition.TOO_OLD
    return Recognition.NEW


def accept(  # noqa: PLR0913 - the parts of one receipt
    ledger: Ledger, identity: Identity, *, digest: str, amounts: Amounts, lineage: str, at: float
) -> Ledger:
    """Return the ledger with one more receipt, and no more receipts than its window."""
    number, top, most = ledger.clock + 1, ledger.top, SEQS_REMEMBERED
    receipts = {**ledger.receipts, identity: Receipt(lineage, number, digest, at, amounts)}
    if isinstance(identity, int):
        top = max(top, identity)
    else:
        expired = sum(1 for old in receipts.values() if old.at < at - KEY_LIFETIME_SECONDS)
        most = min(KEYS_REMEMBERED, len(receipts) - expired)
    last_at = max(ledger.last_at, at)
    return folded_to(replace(ledger, receipts=receipts, clock=number, top=top, last_at=last_at), most)


def marked(ledger: Ledger, absolutes: frozenset[str], increments: frozenset[str]) -> Ledger:
    """Return the ledger that knows of these counters in which way its writer reports them."""
    if absolutes <= ledger.absolutes and increments <= ledger.increments:
        return ledger
    return replace(ledger, absolutes=ledger.absolutes | absolutes, increments=ledger.increments | increments)


def folded_to(ledger: Ledger, most: int) -> Ledger:
    """Return the ledger with at most `most` receipts, the oldest of them folded into their lineages' sums."""
    surplus = len(ledger.receipts) - most
    if surplus <= 0:
        return ledger
    receipts, folded, floor = dict(ledger.receipts), dict(ledger.folded), ledger.floor
    for identity, receipt in list(islice(receipts.items(), surplus)):
        del receipts[identity]
        before = folded.get(receipt.lineage, Folded(0))
        amounts = total([before.amounts, receipt.amounts]) if receipt.amounts else before.amounts
        folded[receipt.lineage] = Folded(receipt.number, amounts)
        if isinstance(identity, int):
            floor = max(floor, identity)
    return replace(ledger, receipts=receipts, folded=folded, floor=floor)


def retired(ledger: Ledger) -> Ledger:
    """Return the ledger without its window: it has counted the same and recognises nothing up to its top."""
    return replace(folded_to(ledger, 0), floor=ledger.top)


def joined(a: Ledger, b: Ledger, most: int) -> Ledger:
    """Return the ledger that has counted what either side has, each update once, with at most `most` receipts."""
    folded = {
        lineage: max((side.folded[lineage] for side in (a, b) if lineage in side.folded), key=_prefix)
        for lineage in sorted(a.folded.keys() | b.folded.keys())
    }
    receipts: dict[Identity, Receipt] = {}
    for identity, receipt in [*a.receipts.items(), *b.receipts.items()]:
        if receipt.lineage in folded and receipt.number <= folded[receipt.lineage].upto:
            continue
        known = receipts.get(identity)
        receipts[identity] = receipt if known is None else min(known, receipt, key=_order)
    return folded_to(
        Ledger(
            receipts=dict(sorted(receipts.items(), key=lambda item: _order(item[1]))),
            folded=folded,
            clock=max(a.clock, b.clock),
            floor=max(a.floor, b.floor),
            top=max(a.top, b.top),
            last_at=max(a.last_at, b.last_at),
            absolutes=a.absolutes | b.absolutes,
            increments=a.increments | b.increments,
        ),
        most,
    )


def counted(ledger: Ledger) -> dict[str, int]:
    """Return the sum of every increment that this ledger has counted, by counter."""
    folded = [old.amounts for old in ledger.folded.values()]
    return total([*folded, *(receipt.amounts for receipt in ledger.receipts.values())])


def total(parts: Iterable[Amounts]) -> dict[str, int]:
    """Return the sum by counter."""
    sums: dict[str, int] = {}
    for amounts in parts:
        for counter, amount in amounts.items():
            sums[counter] = sums.get(counter, 0) + amount
    return sums


def _prefix(folded: Folded) -> tuple[int, list[tuple[str, int]]]:
    return folded.upto, sorted(folded.amounts.items())


def _order(receipt: Receipt) -> tuple[int, str, str]:
    return receipt.number, receipt.lineage, receipt.digest
