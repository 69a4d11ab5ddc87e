"""Whether a job, as the sidecar shows it, agrees with what was acknowledged."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.faults.jobs import CURRENT, FINISHED, STAGE_TOTAL, outcome
from tests.faults.ledger import Bounds, Rank

Document = Mapping[str, Any]


def violations(least: Bounds, most: Bounds, job: Document | None, timeline: Sequence[Document] | None) -> Iterator[str]:
    """Yield each thing that is wrong; None: not asked.

    `least` was drawn up before the job was read, `most` after, for the attempt that is shown.
    """
    if job is None:
        if least.pushes:
            yield f"unknown, with {least.pushes} acknowledged pushes"
        return
    if timeline is not None:
        yield from _events(least, most, timeline)
    if job["attempt"] < least.attempt:
        yield f"it is attempt {job['attempt']}, and a push of attempt {least.attempt} was acknowledged"
        return
    if not most.attempt:
        yield f"it is attempt {job['attempt']}, which nobody began"
        return
    if least.attempt < job["attempt"]:  # of which nothing is acknowledged
        least = Bounds(is_quiet=least.is_quiet)
    yield from _sums(least, most, job)
    yield from _maxima(least, most, job)
    yield from _status(least, most, job)
    yield from _message(least, job)


def attempt_of(job: Document | None) -> int:
    """Return which attempt is shown, the first if there is nothing."""
    return 1 if job is None else int(job["attempt"])


def counter(job: Document, name: str) -> int:
    """Return what a job shows for a counter, 0 if it never was counted."""
    if name == CURRENT:
        return int(job["current"] or 0)
    if name.startswith("stage:"):
        wanted = name.removeprefix("stage:")
        return next((int(stage["current"] or 0) for stage in job["stages"] if stage["name"] == wanted), 0)
    return int(job["items"].get(name, 0))


def _sums(least: Bounds, most: Bounds, job: Document) -> Iterator[str]:
    for name, top in most.sums.items():
        found, bottom = counter(job, name), least.sums.get(name, 0)
        if not bottom <= found <= top:
            yield f"{name}: the sum is {found}, acknowledged {bottom}, sent {top}"


def _maxima(least: Bounds, most: Bounds, job: Document) -> Iterator[str]:
    for name, top in most.maxima.items():
        found, bottom = counter(job, name), least.maxima.get(name, 0)
        highest = STAGE_TOTAL if name.startswith("stage:") else top
        if not bottom <= found <= highest:
            yield f"{name}: the maximum is {found}, acknowledged {bottom}, sent {top}"


def _status(least: Bounds, most: Bounds, job: Document) -> Iterator[str]:
    is_finished = job["status"] in FINISHED
    if least.is_finished and not is_finished:
        yield f"it is {job['status']}, and its end was acknowledged"
    if is_finished:
        yield from _ending(most, job)
    if job["status"] == "lost" and (least.is_quiet or most.is_quiet):
        return
    if not is_finished and job["status"] != "running":
        yield f"it is {job['status']}, which nobody said"
    if job["status"] == "completed" and job["percent"] != 100:
        yield f"it is completed at {job['percent']} percent"


def _ending(most: Bounds, job: Document) -> Iterator[str]:
    if most.ending is None:
        yield f"it is {job['status']}, which nobody said"
        return
    ending, tag = most.ending
    if job["status"] != ending:
        yield f"it is {job['status']}, and its end was {ending}"
    for name, told in outcome(ending, tag).items():
        found = job[name] or {}
        if {field: found.get(field) for field in told} != told:
            yield f"its {name} is {found}, and {told} was told"


def _message(least: Bounds, job: Document) -> Iterator[str]:
    found = _rank(job["message"])
    if least.message is not None and (found is None or found < least.message):
        yield f"the message is of {found}, and one of {least.message} was acknowledged"


def _rank(message: str | None) -> Rank | None:
    if message is None:
        return None
    seq, _, writer = message.partition(" ")
    return int(seq), writer


def _events(least: Bounds, most: Bounds, timeline: Sequence[Document]) -> Iterator[str]:
    told = Counter(event_id for event_id in map(_event_id, timeline) if event_id)
    if missing := sorted(least.events - told.keys()):
        yield f"the timeline lacks {len(missing)} of {len(least.events)}: {missing[:5]}"
    if unknown := sorted(told.keys() - most.events):
        yield f"the timeline tells what nobody said: {unknown[:5]}"
    if repeated := sorted(event_id for event_id, times in told.items() if times > 1):
        yield f"the timeline tells {len(repeated)} events more than once: {repeated[:5]}"
    numbers = [event["number"] for event in timeline]
    if numbers != sorted(set(numbers)):
        yield f"the timeline's numbers do not rise: {numbers}"
    turns = sorted((event["at"], event["type"]) for event in timeline if event["type"] in {"lost", "returned"})
    if turns and turns[0][1] != "lost":  # later ones need not alternate: each side of a split has its own
        yield f"the timeline tells of a return and of no loss before: {turns}"
    types = Counter((event["type"], event["attempt"]) for event in timeline if event["type"] in FINISHED)
    types["created", 1] = sum(event["type"] == "created" for event in timeline)
    for (once, attempt), times in types.items():
        if times > 1:
            yield f"the timeline has {times} lines of type {once} in attempt {attempt}"
    ending = least.ending[0] if least.ending else "completed"
    for (line, attempt), is_due in ((("created", 1), least.pushes > 0), ((ending, least.attempt), least.is_finished)):
        if is_due and least.is_all_told and not types[line, attempt]:
            yield f"the timeline has no line of type {line} in attempt {attempt}"


def _event_id(event: Document) -> str | None:
    """Return the id of a worker's own event, also of one that came after the end of its job."""
    details = event["details"]
    if event["type"] == "late":
        details = (details.get("event") or {}).get("details", {})
    return details.get("id") if event["type"] in {"note", "late"} else None
