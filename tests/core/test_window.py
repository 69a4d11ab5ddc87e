"""Receipts packed into text, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.window import Identity, Receipt, Window

TEXTS = st.text(max_size=8)
IDENTITIES = st.one_of(st.integers(0, 2**63 - 1), TEXTS)
RECEIPTS = st.builds(
    Receipt,
    number=st.integers(1, 10**6),
    lineage=st.sampled_from(("a", "b", 'a"]\n[', "")),
    digest=TEXTS,
    amounts=st.dictionaries(TEXTS, st.integers(0, 2**53), max_size=2),
    at=st.sampled_from((0.0, 1_700_000_000.25)),
)
KNOWN = st.lists(st.tuples(IDENTITIES, RECEIPTS), max_size=8, unique_by=lambda known: (type(known[0]), known[0]))
Known = list[tuple[Identity, Receipt]]


def window(known: Known) -> Window:
    packed = Window()
    for identity, receipt in known:
        packed = packed.added(identity, receipt)
    return packed


@given(KNOWN)
def test_receipts_come_back_as_they_were_added(known: Known) -> None:
    packed = window(known)
    assert (packed.receipts(), packed.size) == (known, len(known))
    assert packed.text.isascii()
    assert Window.of(known, packed.lineage) == packed or not known


@given(KNOWN)
def test_each_receipt_is_found_by_its_identity_and_no_other(known: Known) -> None:
    packed = window(known)
    assert [packed.find(identity) for identity, _ in known] == [receipt for _, receipt in known]
    identities = {(type(identity), identity) for identity, _ in known}
    strangers: list[Identity] = [0, 7, "", "[", '","', "\n[0,"]
    assert all(packed.find(each) is None for each in strangers if (type(each), each) not in identities)


@given(KNOWN, st.integers(0, 8))
def test_a_cut_parts_the_oldest_from_the_others(known: Known, surplus: int) -> None:
    surplus = min(surplus, len(known))
    oldest, rest = window(known).cut(surplus)
    assert (oldest.receipts(), rest.receipts()) == (known[:surplus], known[surplus:])
    assert (oldest.size, rest.size) == (surplus, len(known) - surplus)


def test_the_first_is_the_oldest() -> None:
    known: Known = [(5, Receipt(1, "a", "x")), (4, Receipt(2, "a", "y"))]
    assert window(known).first() == known[0][1]


@pytest.mark.parametrize("lineages", ["ab", "aba", "abab"])
def test_a_new_lineage_leaves_that_of_the_older_receipts(lineages: str) -> None:
    known: Known = [(n, Receipt(n, lineage, f"d{n}")) for n, lineage in enumerate(lineages)]
    assert window(known).receipts() == known
    assert window(known).lineage == lineages[-1]
