"""Of two summaries of one attempt the later one is kept, whichever comes first."""

from typing import Any

import pytest

from sidecar.core.changes import further

RUNNING: dict[str, Any] = {
    "attempt": 1,
    "status": "running",
    "percent": 40.0,
    "items": {"rows": 4},
    "finished_at": None,
}
FAILED = RUNNING | {"status": "failed", "finished_at": "2026-01-01T00:00:01.000Z"}


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        (RUNNING | {"percent": 50.0}, RUNNING),
        (RUNNING | {"items": {"rows": 5}}, RUNNING),
        (RUNNING, RUNNING | {"percent": None, "items": None}),
        (FAILED, RUNNING | {"percent": 90.0}),
        (RUNNING | {"percent": 50.0}, RUNNING | {"status": "lost", "finished_at": "2026-01-01T00:00:09.000Z"}),
        (FAILED, FAILED | {"status": "completed", "finished_at": "2026-01-01T00:00:02.000Z"}),
    ],
)
def test_later_summary_is_kept(later: dict[str, Any], earlier: dict[str, Any]) -> None:
    assert further(later, earlier) == further(earlier, later) == later


def test_of_equal_ones_the_choice_does_not_depend_on_their_order() -> None:
    a, b = RUNNING | {"stage": "a"}, RUNNING | {"stage": "b"}
    assert further(a, b) == further(b, a)
