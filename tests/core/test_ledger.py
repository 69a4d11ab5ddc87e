"""What has been counted, once each, also across a split."""

import pytest

from sidecar.core import ledger
from sidecar.core.ledger import (
    EMPTY,
    FOLDED_AT_ONCE,
    KEY_LIFETIME_SECONDS,
    SEQS_REMEMBERED,
    Ledger,
    Recognition,
)
from sidecar.core.window import Amounts, Identity
from tests.core.updates import NOON

ONE: Amounts = {"current:": 1}


def accept(
    known: Ledger, *identities: Identity, lineage: str = "a", amounts: Amounts = ONE, at: float = NOON
) -> Ledger:
    for identity in identities:
        known = ledger.accept(known, identity, digest=f"d{identity}", amounts=amounts, lineage=lineage, at=at)
    return known


def joined(a: Ledger, b: Ledger) -> Ledger:
    return ledger.joined(a, b, ledger.SEQS_REMEMBERED)


def test_unknown_update_is_new() -> None:
    assert ledger.recognise(EMPTY, 0, "d0") is Recognition.NEW


def test_same_update_is_a_duplicate() -> None:
    assert ledger.recognise(accept(EMPTY, 7), 7, "d7") is Recognition.DUPLICATE


def test_same_seq_with_another_body_is_a_conflict() -> None:
    assert ledger.recognise(accept(EMPTY, 7), 7, "other") is Recognition.CONFLICT


def test_gap_below_the_top_is_new_while_the_window_has_room() -> None:
    assert ledger.recognise(accept(EMPTY, 1, 2**63 - 1), 500, "d500") is Recognition.NEW


@pytest.mark.parametrize("count", [200, 289, 300])
def test_last_128_are_recognised_and_those_long_before_are_too_old(count: int) -> None:
    known = accept(EMPTY, *range(count))
    recognised = [ledger.recognise(known, seq, f"d{seq}") for seq in range(count)]
    window = known.window.size
    assert SEQS_REMEMBERED <= window <= SEQS_REMEMBERED + FOLDED_AT_ONCE
    assert recognised == [Recognition.TOO_OLD] * (count - window) + [Recognition.DUPLICATE] * window


def test_never_seen_seq_below_the_floor_is_too_old() -> None:
    known = accept(EMPTY, *range(0, 400, 2))
    assert ledger.recognise(known, 1, "d1") is Recognition.TOO_OLD


def test_sum_stays_exact_when_the_window_folds() -> None:
    assert ledger.counted(accept(EMPTY, *range(500))) == {"current:": 500}


def test_fold_keeps_the_sum_of_each_lineage_apart() -> None:
    mixed = accept(accept(EMPTY, *range(100), lineage="a"), *range(100, 250), lineage="b")
    known = ledger.folded_to(mixed, SEQS_REMEMBERED)
    assert {lineage: folded.amounts for lineage, folded in known.folded.items()} == {
        "a": {"current:": 100},
        "b": {"current:": 22},
    }


def test_receipts_without_amounts_fold_to_nothing() -> None:
    known = ledger.folded_to(accept(EMPTY, *range(130), amounts={}), SEQS_REMEMBERED)
    assert (known.folded["a"].upto, ledger.counted(known)) == (2, {})


def test_key_is_recognised_for_a_day() -> None:
    known = accept(accept(EMPTY, "k"), "other", at=NOON + KEY_LIFETIME_SECONDS)
    assert ledger.recognise(known, "k", "dk") is Recognition.DUPLICATE


def test_key_is_forgotten_after_a_day_and_stays_counted() -> None:
    known = accept(accept(EMPTY, "k"), "other", at=NOON + KEY_LIFETIME_SECONDS + 1)
    assert ledger.recognise(known, "k", "dk") is Recognition.NEW
    assert ledger.counted(known) == {"current:": 2}


def test_256_keys_are_remembered() -> None:
    known = accept(EMPTY, *(f"k{number}" for number in range(300)))
    assert 256 <= known.window.size <= 256 + FOLDED_AT_ONCE
    assert known.receipts.keys() >= {f"k{number}" for number in range(300 - 256, 300)}
    assert ledger.counted(known) == {"current:": 300}


def test_keys_move_no_floor() -> None:
    known = accept(EMPTY, *(f"k{number}" for number in range(300)))
    assert (known.floor, known.top) == (-1, -1)


def test_retired_ledger_has_counted_the_same_and_recognises_nothing() -> None:
    known = ledger.retired(accept(EMPTY, 3, 900))
    assert (dict(known.receipts), ledger.counted(known)) == ({}, {"current:": 2})
    assert ledger.recognise(known, 900, "d900") is Recognition.TOO_OLD
    assert ledger.recognise(known, 901, "d901") is Recognition.NEW


def test_marks_are_kept_until_there_are_more() -> None:
    known = ledger.marked(EMPTY, frozenset({"current:"}), frozenset())
    assert ledger.marked(known, frozenset({"current:"}), frozenset()) is known
    assert ledger.marked(known, frozenset(), frozenset({"items:x"})).increments == {"items:x"}


def test_sides_of_a_split_add_up() -> None:
    prefix = accept(EMPTY, 1, 2, lineage="p")
    united = joined(accept(prefix, 3, 4, lineage="a"), accept(prefix, 5, 6, 7, lineage="b"))
    assert ledger.counted(united) == {"current:": 7}


@pytest.mark.parametrize(("left", "right"), [(10, 300), (300, 10), (300, 300), (129, 127), (0, 400)])
def test_sides_of_a_split_add_up_after_their_windows_folded(left: int, right: int) -> None:
    prefix = accept(EMPTY, *range(100), lineage="p")
    a = accept(prefix, *range(1_000, 1_000 + left), lineage="a")
    b = accept(prefix, *range(2_000, 2_000 + right), lineage="b")
    assert ledger.counted(joined(a, b)) == ledger.counted(joined(b, a)) == {"current:": 100 + left + right}


def test_update_that_both_sides_took_counts_once() -> None:
    united = joined(accept(EMPTY, 1, 2, lineage="a"), accept(EMPTY, 2, 3, lineage="b"))
    assert ledger.counted(united) == {"current:": 3}


def test_update_of_both_sides_that_one_has_folded_counts_twice() -> None:
    """The documented limit of what a ledger can see."""
    a = ledger.folded_to(accept(EMPTY, 1, *range(10, 138), lineage="a"), SEQS_REMEMBERED)
    united = joined(a, accept(EMPTY, 1, lineage="b"))
    assert ledger.counted(united) == {"current:": 130}


def test_joining_again_changes_nothing() -> None:
    a, b = accept(EMPTY, *range(200), lineage="a"), accept(EMPTY, *range(300, 500), lineage="b")
    united = joined(a, b)
    assert joined(united, a) == joined(united, b) == joined(united, united) == united


def test_joined_window_is_bounded_and_keeps_the_latest() -> None:
    a, b = accept(EMPTY, *range(100), lineage="a"), accept(EMPTY, *range(200, 300), lineage="b")
    united = joined(a, b)
    assert len(united.receipts) == united.window.size == SEQS_REMEMBERED + FOLDED_AT_ONCE
    assert {99, 299} <= united.receipts.keys()
    assert (united.floor, united.top) == (219, 299)
