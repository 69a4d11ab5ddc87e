"""Maxima that a rewind can lower, whatever the order."""

from itertools import permutations

from sidecar.core.peaks import MOST_STEPS, Peaks, merged, peak, raised
from tests.core.updates import rank


def peaks_of(*reports: tuple[int, int]) -> Peaks:
    peaks: Peaks = ()
    for seq, value in reports:
        peaks = raised(peaks, rank(seq), value)
    return peaks


def test_nothing_reported_has_no_peak() -> None:
    assert peak((), None) is None


def test_largest_report_is_the_peak() -> None:
    assert peak(peaks_of((1, 3), (2, 9), (3, 5)), None) == 9


def test_growing_number_keeps_one_step() -> None:
    assert peaks_of((1, 3), (2, 5), (3, 9)) == ((rank(3), 9),)


def test_repeated_value_keeps_its_newest_report() -> None:
    assert peaks_of((1, 3), (2, 3)) == peaks_of((2, 3), (1, 3)) == ((rank(2), 3),)


def test_report_that_never_could_be_the_peak_is_not_kept() -> None:
    peaks = peaks_of((5, 9))
    assert raised(peaks, rank(4), 7) is peaks


def test_peak_since_a_rewind_ignores_what_came_before_it() -> None:
    peaks = peaks_of((1, 9), (3, 4), (5, 2))
    assert [peak(peaks, rank(seq)) for seq in (1, 2, 3, 4, 5)] == [9, 4, 4, 2, 2]
    assert peak(peaks, rank(6)) is None


def test_every_order_of_reports_ends_in_the_same_steps() -> None:
    reports = [(1, 9), (2, 2), (3, 4), (4, 4), (5, 1)]
    assert {peaks_of(*order) for order in permutations(reports)} == {((rank(1), 9), (rank(4), 4), (rank(5), 1))}


def test_merged_sides_are_what_one_side_would_have_seen() -> None:
    reports = [(1, 9), (2, 2), (3, 4), (4, 4), (5, 1)]
    assert merged(peaks_of(*reports[::2]), peaks_of(*reports[1::2])) == peaks_of(*reports)


def test_writers_break_the_tie_of_one_seq() -> None:
    peaks = raised(raised((), rank(1, "a"), 5), rank(1, "b"), 3)
    assert peak(peaks, rank(1, "b")) == 3


def test_ever_falling_numbers_keep_a_bounded_staircase_with_its_top_and_its_end() -> None:
    peaks = peaks_of(*((seq, 1_000 - seq) for seq in range(200)))
    assert len(peaks) == MOST_STEPS
    assert (peaks[0], peaks[-1]) == ((rank(0), 1_000), (rank(199), 801))
