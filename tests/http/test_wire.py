import json

import pytest

from sidecar.core.errors import InvalidUpdate, SidecarError
from sidecar.core.job import Json, PlannedStage, Update, WorkerEvent
from sidecar.http import updates, wire
from sidecar.http.problem import InvalidRequest, NotReadable

WHOLE: dict[str, Json] = {
    "project": "uni",
    "job_type": "timetable",
    "attempt": 2,
    "writer": "w-7f",
    "seq": 12,
    "stages": [{"name": "loading", "weight": 15}, {"name": "solving", "label": "Solving it"}],
    "stage": "solving",
    "stage_status": "completed",
    "rewind": True,
    "current": 74,
    "total": 216,
    "total_growing": False,
    "percent": 35.5,
    "stage_percent": 40,
    "items": {"clusters": 74},
    "add": {"current": 1, "items": {"issues": 50}},
    "message": "cluster 74 of 216",
    "detail": "the hard one",
    "unit": "clusters",
    "metadata": {"seed": 4},
    "labels": {"team": "blue"},
    "resume": {"page": 7},
    "status": "running",
    "error": {"message": "late", "type": "Timeout", "context": {"n": 1}, "stack": "..."},
    "result": {"rooms": 3},
    "blocked_on": "a key",
    "event": {"type": "new_area", "details": {"id": 3}},
    "interval_seconds": 5,
    "deadline_at": "2030-01-31T12:00:00+02:00",
    "max_runtime_seconds": 3600,
    "parent_id": "term-1",
    "trace_id": "abc",
}


def updated(body: Json, *, key: str | None = None) -> Update:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return updates.update(wire.report_from_json(raw), job_id="job", key=key)


def refused(body: Json, *, key: str | None = None) -> dict[str, str]:
    """Return what the body is refused for, by field."""
    try:
        updated(body, key=key)
    except InvalidUpdate as error:
        return {error.field: error.message}
    except InvalidRequest as error:
        return {each.field: each.message for each in error.errors}
    pytest.fail("was not refused")


def test_every_field_of_the_contract_reaches_the_update() -> None:
    update = updated(WHOLE)
    assert (update.project, update.job_type, update.attempt, update.writer, update.seq) == (
        *("uni", "timetable", 2, "w-7f"),
        12,
    )
    assert update.plan == (PlannedStage("loading", 15), PlannedStage("solving", 1.0, "Solving it"))
    assert (update.stage, update.stage_completed, update.rewind) == ("solving", True, True)
    assert (update.current, update.percent, update.stage_percent) == (74, 35.5, 40)
    assert (update.items, update.add_current, update.add_items) == ({"clusters": 74}, 1, {"issues": 50})
    assert update.event == WorkerEvent("new_area", {"id": 3})
    assert update.metadata == {"seed": 4}


def test_newest_wins_fields_are_words_and_facts() -> None:
    update = updated(WHOLE)
    assert set(update.words) == {
        *("status", "message", "detail", "blocked_on", "error", "result", "total", "total_growing")
    }
    assert update.facts == {
        "unit": "clusters",
        "labels": {"team": "blue"},
        "resume": {"page": 7},
        "interval_seconds": 5,
        "deadline_at": 1896084000.0,
        "max_runtime_seconds": 3600,
        "parent_id": "term-1",
        "trace_id": "abc",
    }


def test_said_is_what_was_given_beyond_who_reports() -> None:
    who = {"project", "job_type", "attempt", "writer", "seq"}
    assert updated(WHOLE).said == {name: value for name, value in WHOLE.items() if name not in who}


def test_an_empty_object_is_a_heartbeat() -> None:
    assert updated({}).is_heartbeat
    assert updated({"project": "uni", "writer": "w", "seq": 1}).is_heartbeat


@pytest.mark.parametrize(
    "field",
    [
        *("message", "detail", "blocked_on", "error", "result", "total", "unit", "labels", "resume"),
        *("parent_id", "trace_id", "interval_seconds", "deadline_at", "max_runtime_seconds"),
    ],
)
def test_a_null_clears_a_newest_wins_field(field: str) -> None:
    update = updated({field: None})
    assert {**update.words, **update.facts} == {field: None}
    assert not update.is_heartbeat


@pytest.mark.parametrize(
    "field",
    [
        *("job_id", "project", "job_type", "attempt", "writer", "seq", "stages", "stage", "stage_status"),
        *("rewind", "current", "total_growing", "percent", "stage_percent", "items", "add", "metadata"),
        *("status", "event"),
    ],
)
def test_a_null_elsewhere_is_refused(field: str) -> None:
    assert list(refused({field: None})) == [field]


@pytest.mark.parametrize("value", ["-1", "NaN", "Infinity", "-Infinity", "1e308", "9223372036854775808", "1e999"])
@pytest.mark.parametrize("field", ["current", "total", "percent", "stage_percent", "items.n", "stages.0.weight"])
def test_a_number_out_of_range_is_refused_by_name(field: str, value: str) -> None:
    bodies = {
        "items.n": '{"items": {"n": %s}}',
        "stages.0.weight": '{"stages": [{"name": "a", "weight": %s}]}',
    }
    body = bodies.get(field, '{"%s": %%s}' % field) % value  # noqa: UP031 - braces all over
    assert list(refused(body.encode())) == [field]


@pytest.mark.parametrize("value", ["5", True, [5], {}])
def test_a_counter_takes_numbers_only(value: Json) -> None:
    assert list(refused({"current": value})) == ["current"]


def test_a_negative_zero_is_a_zero() -> None:
    assert str(updated({"current": -0.0}).current) == "0.0"


@pytest.mark.parametrize("amount", [-1, 1.5, 2**53 + 1, True, "1"])
def test_an_increment_is_a_whole_number(amount: Json) -> None:
    assert list(refused({"seq": 1, "add": {"current": amount}})) == ["add.current"]
    assert list(refused({"seq": 1, "add": {"items": {"n": amount}}})) == ["add.items.n"]


def test_increments_need_something_to_be_recognised_by() -> None:
    assert list(refused({"add": {"current": 1}})) == ["add"]
    assert updated({"add": {"current": 1}, "seq": 0}).add_current == 1
    assert updated({"add": {"current": 1}}, key="k").add_current == 1


def test_current_beyond_total_is_refused_in_one_request() -> None:
    assert refused({"current": 11, "total": 10}) == {"current": "must not exceed total"}
    assert updated({"current": 11, "total": None}).current == 11


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("job_id", "a b"),
        ("job_id", "a/b"),
        ("job_id", "a" * 129),
        ("job_id", "a\n"),
        ("job_id", "\U0001f600"),
        ("job_id", "-a"),
        ("job_id", ""),
        ("project", "a:b"),
        ("project", "a\n"),
        ("job_type", "a" * 65),
        ("writer", "w" * 129),
        ("writer", "w\x00"),
        ("seq", -1),
        ("seq", 2**63),
        ("seq", 1.0),
        ("attempt", 0),
        ("attempt", 2**31),
        ("stage", ""),
        ("stage", "a\tb"),
        ("stage", "s" * 65),
        ("stage_status", "failed"),
        ("message", "m" * 1_025),
        ("detail", "d" * 8_193),
        ("unit", "u" * 33),
        ("status", "lost"),
        ("status", "done"),
        ("blocked_on", 3),
        ("parent_id", "a b"),
        ("interval_seconds", 0),
        ("interval_seconds", -1),
        ("deadline_at", "2030-01-31"),
        ("deadline_at", "2030-01-31T12:00:00"),
        ("deadline_at", "2030-02-31T12:00:00Z"),
        ("deadline_at", "1969-12-31T23:59:59Z"),
        ("deadline_at", "9999-12-31T23:59:59-14:00"),
        ("deadline_at", 1_900_000_000),
        ("stages", [{"name": "a"}] * 2),
        ("stages", [{"name": str(n)} for n in range(101)]),
        ("items", {str(n): 1 for n in range(101)}),
        ("labels", {f"l{n}": "x" for n in range(17)}),
        ("metadata", {"a": "x" * 16_384}),
        ("resume", "x" * 16_384),
        ("rewind", 1),
        ("nonsense", 1),
    ],
)
def test_a_value_against_the_contract_is_refused_by_name(field: str, value: Json) -> None:
    assert list(refused({field: value})) == [field]


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("stages.0.name", {"stages": [{"weight": 1}]}),
        ("stages.0.colour", {"stages": [{"name": "a", "colour": 1}]}),
        ("labels.a b", {"labels": {"a b": "c"}}),
        ("labels.a", {"labels": {"a": 1}}),
        ("labels.a", {"labels": {"a": "x" * 129}}),
        ("items.", {"items": {"": 1}}),
        ("error.context", {"error": {"context": "x" * 16_384}}),
        ("error.why", {"error": {"why": 1}}),
        ("event.type", {"event": {"type": "started"}}),
        ("event.type", {"event": {"type": "progress"}}),
        ("event.type", {"event": {"type": "a b"}}),
        ("event.type", {"event": {}}),
        ("event.details", {"event": {"type": "a", "details": {"b": "x" * 16_384}}}),
        ("event.details", {"event": {"type": "a", "details": []}}),
    ],
)
def test_a_nested_field_is_named_by_its_path(field: str, body: Json) -> None:
    assert list(refused(body)) == [field]


def deep(levels: int) -> Json:
    value: Json = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("field", ["resume", "result"])
def test_a_value_is_nested_at_most_32_deep(field: str) -> None:
    assert not updated({field: deep(32)}).is_heartbeat
    assert list(refused({field: deep(33)})) == [field]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("field", ["metadata", "resume", "result"])
def test_no_value_holds_what_is_not_a_number(field: str, number: str) -> None:
    body = f'{{"{field}": {{"a": [{{"b": {number}}}]}}}}'
    assert refused(body.encode()) == {field: "must not contain NaN or Infinity"}


@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b"nonsense", b'{"a": 1} x', b"[" * 10_000, b'{"message": "\xff"}', b'{"message": "\xed\xa0\x80"}'),
        *(b'{"message": "\\ud800"}', b'{"current": ' + b"9" * 5_000 + b"}", b'{"message": "a\nb"}'),
    ],
)
def test_what_is_not_json_is_not_readable(body: bytes) -> None:
    with pytest.raises(NotReadable, match="not JSON"):
        wire.report_from_json(body)


def test_the_last_of_two_equal_keys_counts() -> None:
    assert updated(b'{"current": 1, "current": 2}').current == 2


def test_no_answer_lists_more_mistakes_than_anyone_reads() -> None:
    assert len(refused({f"x{n}": 1 for n in range(1_000)})) == wire.ERRORS_TOLD


def test_mistakes_are_told_in_words_for_people() -> None:
    told = refused({"message": 1, "rewind": "yes", "items": [], "stages": {}, "status": "x", "unit": "u" * 40})
    assert told == {
        "message": "must be a string",
        "rewind": "must be true or false",
        "items": "must be an object",
        "stages": "must be a list",
        "status": "must be 'queued', 'running', 'paused', 'blocked', 'completed', 'failed' or 'cancelled'",
        "unit": "must be at most 32 characters",
    }


def test_the_same_body_has_the_same_digest_in_any_order_of_keys() -> None:
    first = updated({"seq": 1, "message": "a", "items": {"x": 1, "y": 2}})
    again = updated({"items": {"y": 2, "x": 1}, "message": "a", "seq": 1})
    other = updated({"seq": 1, "message": "b", "items": {"x": 1, "y": 2}})
    assert first.digest == again.digest
    assert first.digest != other.digest
    assert len(first.digest) == 12


def test_every_request_has_an_identity_of_its_own() -> None:
    assert updated({}).identity != updated({}).identity


def test_a_refusal_is_one_of_our_errors() -> None:
    with pytest.raises(SidecarError):
        wire.report_from_value({"current": "x"})
