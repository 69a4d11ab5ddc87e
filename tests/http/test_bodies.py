import pytest

from sidecar.core.job import Json
from sidecar.http import bodies
from sidecar.http.problem import InvalidRequest, NotReadable, TooLarge, UnsupportedType

FORM = "application/x-www-form-urlencoded"


def read(body: bytes, content_type: str = "") -> dict[str, Json]:
    return bodies.report_of(body, content_type).model_dump(exclude_unset=True)


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "", "text/plain", FORM]
)
def test_json_is_read_as_json_whatever_curl_calls_it(content_type: str) -> None:
    assert read(b' {"current": 3}', content_type) == {"current": 3}


@pytest.mark.parametrize("content_type", ["", "text/plain", FORM])
def test_a_form_is_read_as_fields(content_type: str) -> None:
    assert read(b"current=3&total=10&message=hello+world", content_type) == {
        "current": 3,
        "total": 10,
        "message": "hello world",
    }


@pytest.mark.parametrize("content_type", ["application/json", "", "text/plain", FORM, "application/octet-stream"])
@pytest.mark.parametrize("body", [b"", b" \n"])
def test_an_empty_body_is_a_heartbeat(body: bytes, content_type: str) -> None:
    assert read(body, content_type) == {}


@pytest.mark.parametrize(
    "content_type", ["image/png", "application/xml", "text/html", "multipart/form-data; boundary=x"]
)
def test_another_type_is_not_supported(content_type: str) -> None:
    with pytest.raises(UnsupportedType):
        read(b"{}", content_type)


def test_ndjson_is_for_many_updates_only() -> None:
    with pytest.raises(UnsupportedType):
        read(b"{}", "application/x-ndjson")


def test_dotted_names_in_a_form_make_objects() -> None:
    assert bodies.form(
        b"items.issues=5&add.current=1&add.items.a.b=2&metadata.x.y=true&error.message=7&event.details.n=1"
    ) == {
        "items": {"issues": 5},
        "add": {"current": 1, "items": {"a.b": 2}},
        "metadata": {"x.y": True},
        "error": {"message": "7"},
        "event": {"details": {"n": 1}},
    }


def test_a_string_field_in_a_form_stays_a_string() -> None:
    assert bodies.form(b"message=5&unit=null&labels.year=2026&stage=true") == {
        "message": "5",
        "unit": "null",
        "labels": {"year": "2026"},
        "stage": "true",
    }


def test_other_fields_in_a_form_are_read_as_json_where_they_look_like_it() -> None:
    assert bodies.form(b'total=null&rewind=true&stages=[{"name":"a"}]&metadata={"a":1}&resume=page-5&percent=1e1') == {
        "total": None,
        "rewind": True,
        "stages": [{"name": "a"}],
        "metadata": {"a": 1},
        "resume": "page-5",
        "percent": 10.0,
    }


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "-1", "1e308", ""])
def test_a_form_is_held_to_the_same_rules(value: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(f"current={value}".encode())
    assert [error.field for error in caught.value.errors] == ["current"]


def test_a_form_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(b"items=5&items.issues=3")
    assert caught.value.errors[0].field == "items.issues"


@pytest.mark.parametrize("body", [b"message=\xff", b"message=%ff", b"message=%ed%a0%80"])
def test_a_form_that_is_not_utf8_is_not_readable(body: bytes) -> None:
    with pytest.raises(NotReadable):
        read(body)


def test_lines_of_ndjson_are_updates_and_blank_ones_are_not() -> None:
    body = b'{"job_id": "a"}\r\n\n  \n{"job_id": "b"}'
    lines = bodies.lines_of(body, "application/x-ndjson")
    assert [bodies.report_of_line(line, 100).job_id for line in lines] == ["a", "b"]


@pytest.mark.parametrize("content_type", ["application/json", "", FORM])
def test_members_of_an_array_are_updates(content_type: str) -> None:
    lines = bodies.lines_of(b'[{"job_id": "a"}, 5]', content_type)
    assert bodies.report_of_line(lines[0], 100).job_id == "a"
    with pytest.raises(InvalidRequest):
        bodies.report_of_line(lines[1], 100)


def test_ndjson_is_recognised_without_its_type() -> None:
    assert len(bodies.lines_of(b'{"job_id": "a"}\n{"job_id": "b"}', FORM)) == 2


@pytest.mark.parametrize(
    "line", [b'{"job_id": "a", "message": "0123456789"}', {"job_id": "a", "message": "0123456789"}]
)
def test_one_update_of_a_batch_has_the_limit_of_a_single_one(line: Json) -> None:
    with pytest.raises(TooLarge):
        bodies.report_of_line(line, 20)


def test_a_batch_has_at_most_ten_thousand_updates() -> None:
    with pytest.raises(TooLarge):
        bodies.lines_of(b"{}\n" * 10_001, "application/x-ndjson")


def test_an_update_of_a_batch_names_its_job() -> None:
    with pytest.raises(InvalidRequest) as caught:
        bodies.report_of_line(b"{}", 100)
    assert caught.value.errors[0].field == "job_id"


def test_a_batch_is_an_array() -> None:
    with pytest.raises(InvalidRequest):
        bodies.lines_of(b'{"job_id": "a"}', "application/json")
