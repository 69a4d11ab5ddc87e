from pathlib import Path

import pytest

from sidecar.tokens import Role, Token, digest, parse_list, read_file, united

SECRET = "0123456789abcdef"
OTHER = "fedcba9876543210"


def test_token_has_role_projects_and_a_digest_of_its_secret() -> None:
    assert parse_list(f"worker:uni,shop:{SECRET}") == (Token(Role.WORKER, frozenset({"uni", "shop"}), digest(SECRET)),)


def test_secret_may_contain_colons_even_at_its_end() -> None:
    assert parse_list("admin:*:0123:4567:89ab:cdef:")[0].digest == digest("0123:4567:89ab:cdef:")


def test_list_may_have_spaces_and_a_separator_at_its_end() -> None:
    assert [token.role for token in parse_list(f" reader:*:{SECRET} ; admin:*:{OTHER};")] == [Role.READER, Role.ADMIN]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("hidden", "entry 1: expected role:project,project:secret"),
        (f"hidden:*:{SECRET}", "entry 1: the role must be one of worker, reader, operator, admin"),
        ("admin:*:hidden", "entry 1: a secret needs at least 16 characters"),
        ("admin:*:hidden hidden hidden", "entry 1: a secret is printable ASCII without spaces"),
        ("admin:*:hiddenhiddenhidd\u00e9n", "entry 1: a secret is printable ASCII without spaces"),
        (f"admin:hidden/:{SECRET}", "entry 1: a project is 1 to 64 letters"),
        (f"admin::{SECRET}", "entry 1: a project is 1 to 64 letters"),
        (f"admin:*:{SECRET};reader:*", "entry 2: expected"),
    ],
)
def test_mistake_is_named_by_place_without_repeating_the_text(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match="entry") as raised:
        parse_list(text)
    assert str(raised.value).startswith(problem)
    assert "hidden" not in str(raised.value)


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"entry 1: .*; entry 3: "):
        parse_list(f"x;admin:*:{SECRET};y")


def test_file_has_one_token_a_line_and_comments(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"# people\n\nreader:*:{SECRET}\n  # machines\nworker:uni:{OTHER}\n")
    assert [token.role for token in read_file(path)] == [Role.READER, Role.WORKER]


def test_mistake_in_a_file_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text("# people\nreader:*\n")
    with pytest.raises(ValueError, match="line 2: expected"):
        read_file(path)


def test_file_that_is_missing_or_no_text_is_a_named_mistake(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        read_file(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="is not UTF-8"):
        read_file(path)


def test_same_token_twice_is_one_token() -> None:
    tokens = parse_list(f"admin:*:{SECRET}")
    assert united(tokens, tokens) == tokens


def test_one_secret_with_two_rights_is_refused() -> None:
    with pytest.raises(ValueError, match="the same secret is given twice"):
        parse_list(f"admin:*:{SECRET};reader:*:{SECRET}")
