"""One job that is being played: what it says next, and what it makes of the answers."""

import secrets
from collections.abc import Iterator
from itertools import chain
from typing import Any

from sidecar.demo.fates import Fate
from sidecar.demo.story import Ask, Part, Report, Step, story

PROJECT = "demo"
PAUSE_CHECK_SECONDS = 2.0
SCALED = ("interval_seconds", "max_runtime_seconds")
ENDS = frozenset({"completed", "failed", "cancelled"})
MISCHIEF, MISCHIEF_AT_THE_END = 0.02, 0.3
"""How often something is sent that a sidecar should not simply count."""

ODD: tuple[tuple[Report | None, int], ...] = (
    (None, 0),  # the same again
    (None, 0),
    ({"message": "this line took another way"}, -1),
    ({"message": "this line took another way"}, -1),
    ({"percent": 101}, 1),
    ({"job_type": "mistaken"}, 1),
    ({"message": "x" * 70_000}, 1),
)
"""What is said then, and how many seqs after the last report."""

STALE: tuple[tuple[Report | None, int], ...] = (({"attempt": 1, "message": "is anybody there?"}, 1),) * len(ODD)
"""What is said by one that was given up."""


class Job:
    """A job and its worker. What it says is said again, word by word, until it is answered."""

    def __init__(self, job_id: str, part: Part, speed: float) -> None:
        """Take a part, whose seconds pass `speed` times as fast as those of a clock."""
        self.job_id, self.kind, self.fate = job_id, part.kind, part.fate
        self.traceparent = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
        self.attempt, self.is_ended = 1, False
        self._story, self._dice, self._speed = story(part), part.dice, speed
        self._writer, self._seq = f"demo-{secrets.token_hex(4)}", 0
        self._said: Report = {}
        self._asks_to_pause, self._breather_seconds = False, 0.0
        self._pending: dict[str, Any] | None = None
        self.ask: Ask | None = None
        """What somebody else should ask of the sidecar before the report that is due."""
        self.is_answered = False
        """Whether that report is delivered."""

    def advance(self) -> float | None:
        """Go on to the next step; returns in how many seconds its report is due, None at the end of the story."""
        step = next(self._story, None)
        if step is None:
            return None
        self._said, self.ask, self.is_answered = step.says, step.ask, False
        return max(step.seconds / self._speed, self._breather_seconds)

    def report(self) -> dict[str, Any]:
        """Return the report that is due, the same one until `answered` is called."""
        if self._pending is None:
            self._seq += 2  # the odd ones are left for reports that come too late
            self._begin(self._said.get("attempt", self.attempt))
            self._pending = self._body(self._said, self._seq)
        return self._pending

    def drop(self) -> None:
        """Give the job up: the sidecar does not want it."""
        self._pending, self._story = None, iter(())
        self.is_ended = self.is_answered = True

    def answered(self, answer: Report) -> None:
        """Take the answer to the report, and obey."""
        status = (self._pending or {}).get("status")
        self.is_ended = status in ENDS
        self._pending, self.is_answered = None, True
        self._breather_seconds = answer.get("next_update_after_seconds", 0.0)
        if self.is_ended or self.fate is Fate.STUBBORN:
            return
        asked_to_pause, self._asks_to_pause = self._asks_to_pause, bool(answer.get("pause_requested"))
        if answer.get("cancel_requested"):
            self._story = iter((Step(1, {"status": "cancelled", "message": "ended as somebody asked for"}),))
        elif self._asks_to_pause and not asked_to_pause:
            self._story = chain(self._pausing(), self._story)

    def end(self) -> dict[str, Any] | None:
        """Return the report that ends the job wherever it is, None if it has ended."""
        self._pending = None
        self._said = {"status": "cancelled", "message": "the demo was stopped"}
        return None if self.is_ended else self.report()

    def mischief(self) -> dict[str, Any] | None:
        """Return, now and then, a report that a sidecar meets, too, and should not simply count; mostly None."""
        if self._dice.random() >= (MISCHIEF_AT_THE_END if self.is_ended else MISCHIEF):
            return None
        kinds = ODD if self.attempt == 1 else ODD + STALE
        said, seqs_later = self._dice.choice(kinds)
        return self._body(self._said if said is None else said, self._seq + seqs_later)

    def _begin(self, attempt: int) -> None:
        """Go on as a process of its own, if this is another attempt."""
        if attempt > self.attempt:
            self.attempt, self._writer = attempt, f"demo-{secrets.token_hex(4)}"

    def _pausing(self) -> Iterator[Step]:
        yield Step(1, {"status": "paused", "message": "paused as somebody asked for"})
        while self._asks_to_pause:
            yield Step(PAUSE_CHECK_SECONDS, {})
        yield Step(0, {"status": "running", "message": "resumed"})

    def _body(self, said: Report, seq: int) -> dict[str, Any]:
        scaled: dict[str, Any] = {name: said[name] / self._speed for name in SCALED if name in said}
        known = {"job_id": self.job_id, "project": PROJECT, "job_type": self.kind.job_type, "attempt": self.attempt}
        if self.kind.is_batched and "labels" in said:  # a batch has no header for each
            scaled["trace_id"] = self.traceparent.split("-")[1]
        return {**known, "writer": self._writer, "seq": seq, **said, **scaled}
