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
from enum import Enum
from typing import Any, NamedTuple

from sidecar.core.window import NO_AMOUNTS, Amounts, Identity, Receipt, Window

NO_SUMS: Mapping[str, Any] = {}

SEQS_REMEMBERED = 128
KEYS_REMEMBERED = 256
FOLDED_AT_ONCE = 32
"""A window may hold this many more, so that most updates cut nothing off."""

KEY_LIFETIME_SECONDS = 24 * 3600.0


class Recognition(Enum):
    """What a ledger says of an update that arrives."""

    NEW = "new"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    TOO_OLD = "too_old"


class Folded(NamedTuple):
    """The sum of a lineage's receipts up to and including number `upto`."""

    upto: int
    amounts: Amounts = NO_AMOUNTS


class Ledger(NamedTuple):
    """What one writer (or all idempotency keys of a job) has been counted for.

    `floor` is the highest seq without a receipt any more: at or below it nothing is recognised again. `top` is
    the highest seq accepted. `absolutes` and `increments` name the counters reported in either way.
    """

    window: Window = Window()
    folded: Mapping[str, Folded] = NO_SUMS
    clock: int = 0
    floor: int = -1
    top: int = -1
    last_at: float = 0.0
    absolutes: frozenset[str] = frozenset()
    increments: frozenset[str] = frozenset()

    @property
    def receipts(self) -> dict[Identity, Receipt]:
        """The receipts in the window, oldest first."""
        return dict(self.window.receipts())


EMPTY = Ledger()


def recognise(ledger: Ledger, identity: Identity, digest: str) -> Recognition:
    """Tell whether this update has been counted before."""
    if isinstance(identity, int) and identity > ledger.top:
        return Recognition.NEW
    receipt = ledger.window.find(identity)
    if receipt is not None:
        return Recognition.DUPLICATE if receipt.digest == digest else Recognition.CONFLICT
    if isinstance(identity, int) and identity <= ledger.floor:
        return Recognition.TOO_OLD
    return Recognition.NEW


def accept(  # noqa: PLR0913 - the parts of one receipt
    ledger: Ledger, identity: Identity, *, digest: str, amounts: Amounts, lineage: str, at: float
) -> Ledger:
    """Return the ledger with one more receipt, and no more receipts than its window."""
    number, top, most, expired = ledger.clock + 1, ledger.top, SEQS_REMEMBERED, 0
    if isinstance(identity, int):
        window = ledger.window.added(identity, Receipt(number, lineage, digest, amounts))
        top = max(top, identity)
    else:
        window = ledger.window.added(identity, Receipt(number, lineage, digest, amounts, at))
        most, expired = KEYS_REMEMBERED, _expired(ledger.window, at)
    entered = ledger._replace(window=window, clock=number, top=top, last_at=max(ledger.last_at, at))
    if not expired and window.size <= most + FOLDED_AT_ONCE:
        return entered
    return folded_to(entered, min(most, window.size - expired))


def marked(ledger: Ledger, absolutes: frozenset[str], increments: frozenset[str]) -> Ledger:
    """Return the ledger that knows of these counters in which way its writer reports them."""
    if absolutes <= ledger.absolutes and increments <= ledger.increments:
        return ledger
    return ledger._replace(absolutes=ledger.absolutes | absolutes, increments=ledger.increments | increments)


def folded_to(ledger: Ledger, most: int) -> Ledger:
    """Return the ledger with at most `most` receipts, the oldest of them folded into their lineages' sums."""
    surplus = ledger.window.size - most
    if surplus <= 0:
        return ledger
    oldest, window = ledger.window.cut(surplus)
    folded, floor = dict(ledger.folded), ledger.floor
    for identity, receipt in oldest.receipts():
        before = folded.get(receipt.lineage, Folded(0))
        amounts = total([before.amounts, receipt.amounts]) if receipt.amounts else before.amounts
        folded[receipt.lineage] = Folded(receipt.number, amounts)
        if isinstance(identity, int):
            floor = max(floor, identity)
    return ledger._replace(window=window, folded=folded, floor=floor)


def retired(ledger: Ledger) -> Ledger:
    """Return the ledger without its window: it has counted the same and recognises nothing up to its top."""
    return folded_to(ledger, 0)._replace(floor=ledger.top)


def joined(a: Ledger, b: Ledger, most: int) -> Ledger:
    """Return the ledger that has counted what either side has, each update once.

    It keeps at most `most` receipts and the few more that a window may hold: with less room than either side had,
    what both sides took could be cut off, and then count again when the result meets one of them once more.
    """
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
    ordered = sorted(receipts.items(), key=lambda item: _order(item[1]))
    return folded_to(
        Ledger(
            window=Window.of(ordered, ordered[-1][1].lineage if ordered else ""),
            folded=folded,
            clock=max(a.clock, b.clock),
            floor=max(a.floor, b.floor),
            top=max(a.top, b.top),
            last_at=max(a.last_at, b.last_at),
            absolutes=a.absolutes | b.absolutes,
            increments=a.increments | b.increments,
        ),
        most + FOLDED_AT_ONCE,
    )


def counted(ledger: Ledger) -> dict[str, int]:
    """Return the sum of every increment that this ledger has counted, by counter."""
    folded = [old.amounts for old in ledger.folded.values()]
    return total([*folded, *(receipt.amounts for _, receipt in ledger.window.receipts())])


def total(parts: Iterable[Amounts]) -> dict[str, int]:
    """Return the sum by counter."""
    sums: dict[str, int] = {}
    for amounts in parts:
        for counter, amount in amounts.items():
            sums[counter] = sums.get(counter, 0) + amount
    return sums


def _expired(window: Window, now: float) -> int:
    """Return how many receipts are of keys that are no longer remembered; the oldest tells whether any is."""
    oldest = now - KEY_LIFETIME_SECONDS
    if not window.size or window.first().at >= oldest:
        return 0
    return sum(1 for _, known in window.receipts() if known.at < oldest)


def _prefix(folded: Folded) -> tuple[int, list[tuple[str, int]]]:
    return folded.upto, sorted(folded.amounts.items())


def _order(receipt: Receipt) -> tuple[int, str, str]:
    return receipt.number, receipt.lineage, receipt.digest
